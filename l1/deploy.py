"""Deploying the contracts, and the deployment file.

Contracts have no owner and no setters, so those that know each other are told addresses that are not there yet: the deployer's nonce gives
them in advance. The Vault's constructor, the last one, reverts if any of it went wrong.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rlp

from contracts import Artifact, load_artifact
from l1.abi import decode_reason, encode_constructor
from l1.client import Client, encode_hex
from l1.sender import Sender
from protocol.keccak import keccak
from protocol.machine import compute_most_steps
from protocol.params import PRESETS, Params
from protocol.rules import Rules
from protocol.signing import compute_domain
from protocol.state import State
from protocol.types import Phase

FILE_FORMAT = "straddle-deployment"
FILE_VERSION = 2
MAX_FILE_BYTES = 65_536
MAX_SPEED = 1_000_000
MAX_ORACLES = 8
BASE_GAS = 2_053_000  # of a creation, with room for the constructor

# The step contract of each phase: one a phase, but margin serves both sides of a trade, and the bidder.
STEPS = {phase: "margin" if phase in (Phase.MAKER, Phase.TAKER, Phase.BIDDER) else phase.name.lower() for phase in Phase}
STEP_NAMES = tuple(dict.fromkeys(STEPS.values()))


class BadDeployment(Exception):
    """A deployment file that is malformed, or that does not describe what is on chain."""


class DeployFailed(Exception):
    """A creation that reverted or landed elsewhere. What was created stays, unused; deploying again is safe."""


@dataclass(frozen=True)
class Plan:
    """What a deployment fixes. Addresses are integers; without `token` the devnet's open-mint token is deployed."""

    preset: str
    speed: int
    sequencer: int
    oracles: tuple[int, ...]
    token: int | None = None

    @property
    def params(self) -> Params:
        return PRESETS[self.preset].at_speed(self.speed)


@dataclass(frozen=True)
class Deployment:
    """Where the contracts stand and with what they were built. `block` is one before which none of them existed."""

    chain_id: int
    preset: str
    speed: int
    sequencer: int
    oracles: tuple[int, ...]
    genesis_root: bytes
    block: int
    addresses: Mapping[str, int] = field(hash=False)  # by artifact name, steps included
    creations: Mapping[str, bytes] = field(default_factory=dict, hash=False)  # transactions; none of a token that was there before

    @property
    def params(self) -> Params:
        return PRESETS[self.preset].at_speed(self.speed)

    @property
    def rules(self) -> Rules:
        return Rules(self.params, compute_domain(self.chain_id, self.addresses["Vault"]), self.oracles)

    def get_address(self, name: str) -> bytes:
        """20 bytes, for L1 calls and filters."""
        return self.addresses[name].to_bytes(20, "big")

    @property
    def followed(self) -> dict[bytes, str]:
        """The contracts whose logs matter: address -> name, as `decode_logs` wants it."""
        return {self.get_address(name): name for name in ("Inbox", "Vault", "Claims")}


def compute_created_address(deployer: bytes, nonce: int) -> int:
    """Of the contract that the deployer's transaction with that nonce creates."""
    return int.from_bytes(keccak(rlp.encode([deployer, nonce]))[12:], "big")


def compute_genesis_root(params: Params) -> bytes:
    """Root of the empty state."""
    return State(params).get_root()


def list_rules(rules: Rules) -> tuple[Any, ...]:
    """What the constructor of every step takes, in the order of `Rules` in contracts/lib/types.vy."""
    p = rules.params
    return (
        *(p.account_depth, p.slot_depth, p.outbox_depth, p.batch_depth),
        *(p.steps_per_second, p.steps_cap),
        *(p.mark_gap_s, p.mark_resync_s, p.mark_max_age_s),
        [value for fees in p.fees for value in (fees.forward_ppm, fees.premium_ppm, fees.minimum)],
        *(p.pool_slots, p.pool_delay_s, p.sheet_life_s),
        *(p.halt_move_ppm, p.halt_window_s, p.halt_s),
        *(p.settle_first_s, p.settle_last_s, p.shutdown_s),
        rules.domain,
        p.quorum,
        [oracle.to_bytes(20, "big") for oracle in rules.oracles],
    )


def list_constructors(plan: Plan, chain_id: int, addresses: Mapping[str, int]) -> dict[str, tuple[Any, ...]]:
    """Constructor arguments by contract, in the order of deployment. `addresses` holds the predicted ones."""
    p = plan.params
    domain = compute_domain(chain_id, addresses["Vault"])
    rules = list_rules(Rules(p, domain, plan.oracles))
    table: dict[str, tuple[Any, ...]] = {} if plan.token is not None else {"Token": ()}
    table |= dict.fromkeys(STEP_NAMES, (rules,))
    table["Judge"] = (
        [addresses[STEPS[phase]] for phase in Phase],
        [load_artifact(STEPS[phase]).get_selector("step") for phase in Phase],
    )
    table["Inbox"] = (plan.sequencer, addresses["Vault"], p.epoch_s, p.inclusion_delay_s, p.header_window_s, p.batch_depth, p.silence_s)
    table["Claims"] = (
        *(addresses["Inbox"], addresses["Judge"], compute_genesis_root(p), p.history_height),
        p.group_bits,
        *(p.entry_s, p.censorship_s, p.grace_s, p.stake_wei),
    )
    table["Vault"] = (addresses["Token"], addresses["Inbox"], addresses["Claims"], p.max_accounts, p.outbox_depth)
    return table


def check_plan(plan: Plan) -> None:
    """Raises `BadDeployment`."""
    if plan.preset not in PRESETS:
        raise BadDeployment(f"no preset {plan.preset!r}: one of {', '.join(PRESETS)}")
    if not 0 < plan.speed <= MAX_SPEED:
        raise BadDeployment(f"speed {plan.speed} is out of range")
    if compute_most_steps(plan.params) >= 1 << plan.params.history_height:
        raise BadDeployment(f"at speed {plan.speed} an epoch's run would outgrow its history: a lower speed")
    count = plan.params.oracle_count
    if len(plan.oracles) != count or len(set(plan.oracles)) != count or 0 in plan.oracles or count > MAX_ORACLES:
        raise BadDeployment(f"{plan.preset} takes {count} different oracles")


def compute_creation_gas(artifact: Artifact, code: bytes) -> int:
    """Enough for data at EIP-7623's floor, the code's deposit and a constructor of 2M."""
    return BASE_GAS + 40 * len(code) + 200 * artifact.runtime_size


def predict_addresses(plan: Plan, deployer: bytes, nonce: int) -> dict[str, int]:
    """By artifact name, for creations from `nonce` on in the order of `list_constructors`."""
    names = [*([] if plan.token is not None else ["Token"]), *STEP_NAMES, "Judge", "Inbox", "Claims", "Vault"]
    addresses = {name: compute_created_address(deployer, nonce + place) for place, name in enumerate(names)}
    return addresses if plan.token is None else {"Token": plan.token, **addresses}


async def deploy(client: Client, sender: Sender, plan: Plan) -> Deployment:
    """Everything, in one go. Nothing else may use the sender meanwhile: the addresses rest on its nonces."""
    check_plan(plan)
    chain_id = await client.get_chain_id()
    block = (await client.get_head()).number
    first = await sender.get_next_nonce()
    addresses = predict_addresses(plan, sender.address, first)
    numbers: dict[str, int] = {}
    for name, arguments in list_constructors(plan, chain_id, addresses).items():
        artifact = load_artifact(name)
        code = encode_constructor(artifact, arguments)
        numbers[name] = await sender.submit(b"", code, 0, compute_creation_gas(artifact, code))
    creations: dict[str, bytes] = {}
    for name, number in numbers.items():
        receipt = await sender.wait(number)
        if not receipt.ok:
            raise DeployFailed(f"{name}: the creation reverted: {decode_reason(receipt.reason)}")
        if receipt.contract != addresses[name].to_bytes(20, "big"):
            raise DeployFailed(f"{name} stands elsewhere: something else used the deployer's key")
        creations[name] = receipt.tx_hash
    root = compute_genesis_root(plan.params)
    return Deployment(chain_id, plan.preset, plan.speed, plan.sequencer, plan.oracles, root, block, addresses, creations)


# -- the file


def save_deployment(path: Path, deployment: Deployment) -> None:
    """JSON, for people to read too."""
    content = {
        "format": FILE_FORMAT,
        "version": FILE_VERSION,
        "chain_id": deployment.chain_id,
        "preset": deployment.preset,
        "speed": deployment.speed,
        "sequencer": _encode_address(deployment.sequencer),
        "oracles": [_encode_address(oracle) for oracle in deployment.oracles],
        "genesis_root": encode_hex(deployment.genesis_root),
        "block": deployment.block,
        "addresses": {name: _encode_address(address) for name, address in deployment.addresses.items()},
        "creations": {name: encode_hex(tx_hash) for name, tx_hash in deployment.creations.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def load_deployment(path: Path) -> Deployment:
    """Checks shapes, and that preset and genesis root are those of this program. Raises `BadDeployment`."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadDeployment(f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_FILE_BYTES:
        raise BadDeployment(f"{path} is too large for a deployment file")
    try:
        content = json.loads(text)
        if content["format"] != FILE_FORMAT or content["version"] != FILE_VERSION:
            raise BadDeployment(f"{path} is not a deployment file of version {FILE_VERSION}")
        deployment = Deployment(
            chain_id=_check_int(content["chain_id"]),
            preset=str(content["preset"]),
            speed=_check_int(content["speed"]),
            sequencer=_decode_address(content["sequencer"]),
            oracles=tuple(_decode_address(oracle) for oracle in content["oracles"]),
            genesis_root=bytes.fromhex(content["genesis_root"].removeprefix("0x")),
            block=_check_int(content["block"]),
            addresses={str(name): _decode_address(address) for name, address in content["addresses"].items()},
            creations={str(name): _decode_hash(tx_hash) for name, tx_hash in content["creations"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadDeployment(f"{path} is malformed: {type(error).__name__}: {error}") from error
    check_plan(Plan(deployment.preset, deployment.speed, deployment.sequencer, deployment.oracles))
    wanted = {"Token", "Judge", "Inbox", "Claims", "Vault", *STEP_NAMES}
    if set(deployment.addresses) != wanted:
        raise BadDeployment(f"{path}: addresses differ from what is expected: {sorted(wanted ^ set(deployment.addresses))}")
    if wanted - set(deployment.creations) - {"Token"}:
        raise BadDeployment(f"{path}: no transactions that made {sorted(wanted - set(deployment.creations))}")
    if deployment.genesis_root != compute_genesis_root(deployment.params):
        raise BadDeployment(f"{path}: the genesis root is not that of preset {deployment.preset}")
    return deployment


def _encode_address(address: int) -> str:
    return encode_hex(address.to_bytes(20, "big"))


def _decode_address(text: str) -> int:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError("an address has 20 bytes")
    return int.from_bytes(raw, "big")


def _decode_hash(text: str) -> bytes:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 32:
        raise ValueError("a hash has 32 bytes")
    return raw


def _check_int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a number")
    return value
