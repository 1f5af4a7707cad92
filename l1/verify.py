"""Whether what stands on chain is what was built: every contract's code, the arguments it was made with, how it was made, whom it knows.

Runtime code alone would not do: other creation code can leave the same code behind with another storage, a claim that is final from the
start, say. So the transaction that made a contract is read back, too: its content is proven by its hash, its sender by its signature.
Nothing here asks for an owner, because the built contracts have none (`tests/l1/test_unchangeable.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eth_account import Account
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from contracts import load_artifact
from l1.abi import decode_reason, encode_constructor
from l1.client import Client, encode_hex
from l1.contracts import read
from l1.deploy import STEPS, BadDeployment, Deployment, Plan, compute_created_address, compute_creation_gas, list_constructors
from l1.provider import RpcError
from l1.shapes import Malformed, Transaction
from protocol.keccak import encode_words, keccak
from protocol.types import Phase

VAULT_IMMUTABLES = 5
DELEGATION = b"\xef\x01\x00"  # an account with a key that borrows code (EIP-7702)


class FaultCode(StrEnum):
    """Stable: scripts may rely on them."""

    MISSING = "code-missing"
    CODE = "code-other"
    ARGUMENTS = "arguments-other"
    CREATION = "creation-other"
    WIRING = "wiring-other"


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be."""

    code: FaultCode
    text: str


@dataclass(frozen=True)
class Finding:
    """Of one contract. No faults: it is what was built. `note` is what could not be checked, and why."""

    name: str
    address: bytes
    faults: tuple[Fault, ...] = ()
    note: str = ""


async def verify(client: Client, deployment: Deployment) -> None:
    """Raises `BadDeployment` with the first fault, and `WrongChain`."""
    for finding in await inspect(client, deployment):
        for fault in finding.faults:
            raise BadDeployment(f"{finding.name} at {encode_hex(finding.address)}: {fault.text} ({fault.code})")


async def inspect(client: Client, deployment: Deployment) -> list[Finding]:
    """All contracts, in the order of deployment; the token, if it is somebody else's, at the end. Raises `WrongChain`, `Unavailable`, and
    `Malformed` where the endpoint talks nonsense."""
    await client.check_chain(deployment.chain_id)
    addresses = deployment.addresses
    own_token = "Token" in deployment.creations
    plan = Plan(deployment.preset, deployment.speed, deployment.sequencer, deployment.oracles, None if own_token else addresses["Token"])
    findings = []
    for name, arguments in list_constructors(plan, deployment.chain_id, addresses).items():
        code = await client.get_code(deployment.get_address(name))
        faults = [
            *await _check_code(client, name, code, arguments),
            *await _check_creation(client, deployment, name, arguments),
            *(await _check_wiring(client, deployment, name) if code else []),
        ]
        findings.append(Finding(name, deployment.get_address(name), tuple(faults)))
    if not own_token:
        code = await client.get_code(deployment.get_address("Token"))
        faults = [] if code and not code.startswith(DELEGATION) else [Fault(FaultCode.MISSING, "no contract")]
        note = "somebody else's token: who may change it is for its own users to know"
        findings.append(Finding("Token", deployment.get_address("Token"), tuple(faults), note))
    return findings


# -- code


async def _check_code(client: Client, name: str, code: bytes, arguments: Sequence[Any]) -> list[Fault]:
    """Creation is run again as a call, and its result compared with the code on chain, immutables included."""
    if not code:
        return [Fault(FaultCode.MISSING, "no contract")]
    if name == "Vault":
        expected = _compute_vault_code(arguments)
    else:
        artifact = load_artifact(name)
        creation = encode_constructor(artifact, arguments)
        try:
            expected = await client.create(creation, compute_creation_gas(artifact, creation))
        except RpcError as error:
            reason = decode_reason(error.data) or str(error)
            return [Fault(FaultCode.ARGUMENTS, f"its constructor refuses the deployment's parameters: {reason}")]
    if code == expected:
        return []
    plain = _measure_plain(expected, load_artifact(name).bytecode)
    if len(code) == len(expected) and code[:plain] == expected[:plain]:
        return [Fault(FaultCode.ARGUMENTS, "the artifact's code, made with other arguments than the deployment's")]
    return [Fault(FaultCode.CODE, "the code on chain is not the artifact's")]


def _compute_vault_code(arguments: Sequence[Any]) -> bytes:
    """Its constructor wants to stand at its own address, so it cannot run again. Creation code ends with the code that it leaves, and the
    immutables follow that: here the arguments in order."""
    artifact = load_artifact("Vault")
    return artifact.bytecode[-(artifact.runtime_size - 32 * VAULT_IMMUTABLES) :] + encode_words(arguments)


def _measure_plain(code: bytes, creation: bytes) -> int:
    """How much of the code its creation code ends with; the rest are immutables."""
    return next(size for size in range(len(code), -1, -1) if creation.endswith(code[:size]))


# -- how it was made


async def _check_creation(client: Client, deployment: Deployment, name: str, arguments: Sequence[Any]) -> list[Fault]:
    tx_hash = deployment.creations.get(name, b"")
    transaction = await client.get_transaction(tx_hash) if tx_hash else None
    receipt = None if transaction is None else await client.get_receipt(tx_hash)
    if transaction is None or receipt is None:
        return [Fault(FaultCode.CREATION, "the endpoint does not have the transaction that made it; one that keeps old ones may be needed")]
    if not receipt.ok or transaction.to is not None or _compute_created(transaction) != deployment.addresses[name]:
        return [Fault(FaultCode.CREATION, "the transaction that is said to have made it did not")]
    if transaction.input != encode_constructor(load_artifact(name), arguments):
        return [Fault(FaultCode.CREATION, "it was made by other creation code: its storage may hold anything")]
    return []


def _compute_created(transaction: Transaction) -> int | None:
    """The address, by the sender that signed; None where nobody did, as no chain would have it."""
    try:
        sender = Account.recover_transaction(transaction.raw)
    except (BadSignature, ValidationError, RLPException, ValueError, TypeError):
        return None
    return compute_created_address(bytes.fromhex(sender[2:]), transaction.nonce)


# -- whom it knows


async def _check_wiring(client: Client, deployment: Deployment, name: str) -> list[Fault]:
    """By its own word."""
    faults = []
    for getter, arguments, expected in _list_wires(deployment, name):
        try:
            found = await read(client, name, deployment.get_address(name), getter, arguments)
        except (RpcError, Malformed) as error:
            faults.append(Fault(FaultCode.WIRING, f"{getter} has no answer: {error}"))
            continue
        if found != expected:
            faults.append(Fault(FaultCode.WIRING, f"{getter}{arguments or ''} is {_show(found)}, not {_show(expected)}"))
    return faults


def _list_wires(deployment: Deployment, name: str) -> list[tuple[str, tuple[int, ...], tuple[Any, ...]]]:
    """View, its arguments, what it must return."""
    at = deployment.addresses
    match name:
        case "Judge":
            steps = [(STEPS[phase], phase) for phase in Phase]
            return [("get_step", (int(phase),), (at[step], load_artifact(step).get_selector("step"))) for step, phase in steps]
        case "Inbox":
            return [("SEQUENCER", (), (deployment.sequencer,)), ("VAULT", (), (at["Vault"],))]
        case "Claims":
            genesis = keccak(bytes(32) + encode_words((0,)) + deployment.genesis_root + bytes(32))
            return [("INBOX", (), (at["Inbox"],)), ("JUDGE", (), (at["Judge"],)), ("GENESIS", (), (genesis,))]
        case "Vault":
            return [("TOKEN", (), (at["Token"],)), ("INBOX", (), (at["Inbox"],)), ("CLAIMS", (), (at["Claims"],))]
        case _:
            return []


def _show(values: tuple[Any, ...]) -> str:
    return " ".join(f"0x{value:040x}" if isinstance(value, int) else "0x" + value.hex() for value in values)
