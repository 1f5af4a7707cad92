"""Gas of the calls on L1 and of every kind of step, as committed in `contracts/snapshots/gas.json`.

    python -m tests.contracts.gas      measure anew and write the snapshot

The calls are measured on py-evm. The dispute is played at the full height of 28 with the toy step, whose own gas is subtracted from the
proof. A step is measured by itself, from the dearest start that we know (`sim/twins/worst.py`) in the main network's trees. Transactions
include their base and calldata (EIP-7623's floor where it is higher).
"""

import json
import random

from contracts.build import SIZES
from protocol.codec.frames import Frame, encode_payload
from protocol.params import MAINNET
from protocol.types import Phase
from sim.twins import assert_twins
from sim.twins.__main__ import get_place
from sim.twins.dice import make_rules
from sim.twins.runner import get_step_name
from sim.twins.worst import make_all_worst
from tests.contracts.chain import PyEvm
from tests.contracts.world import World

SNAPSHOT = SIZES.parent / "gas.json"
DOLLAR = 10**6
HEIGHT = 28
STEP = "step: "


def measure_inbox(world: World) -> dict[str, int]:
    """A batch of typical and one of small size, a forced message, a deposit."""
    rng = random.Random(1)
    evm = world.evm
    alice = evm.create_account()
    gas: dict[str, int] = {}
    world.post([Frame(0, b"first", b"")])  # fresh slots
    gas["post: 1 frame of 100 bytes, 2 signatures"] = world.post([Frame(0, rng.randbytes(100), rng.randbytes(130))]).gas_used
    frames = [Frame(0, rng.randbytes(6_000), rng.randbytes(65 * 200)) for _ in range(4)]
    gas["post: 4 frames of 6,000 bytes, 200 signatures each"] = world.post(frames).gas_used
    payload = encode_payload(frames)
    gas["the same bytes at the floor price of calldata"] = 21_000 + 10 * payload.count(0) + 40 * (len(payload) - payload.count(0))
    for name, rows, signatures in (("100 bytes, 2 signatures", 100, 2), ("1,024 bytes, 32 signatures", 1_024, 32)):
        fee = evm.call(world.inbox, "fee")
        result = evm.transact(alice, world.inbox, "send", rng.randbytes(rows), rng.randbytes(65 * signatures), value=fee)
        gas[f"send: {name}"] = result.gas_used
    gas["mint"] = evm.transact(alice, world.token, "mint", alice, 1_000 * DOLLAR).gas_used
    evm.transact(alice, world.token, "approve", world.vault.address, 2**200)
    gas["deposit: the first"] = evm.transact(alice, world.vault, "deposit", 100 * DOLLAR).gas_used
    gas["deposit: later"] = evm.transact(alice, world.vault, "deposit", 100 * DOLLAR).gas_used
    evm.advance(world.times.inclusion_delay_s + 1)
    gas["post_queue: 4 messages"] = evm.transact(alice, world.inbox, "post_queue").gas_used
    return gas


def measure_dispute(world: World) -> dict[str, int]:
    """Two parties, from their claims to the end; every transaction by name, and the totals."""
    evm = world.evm
    alice, mallory = evm.create_account(), evm.create_account()
    honest = world.compute_honest(world.run_epoch(3))
    lie = world.compute_lie(honest, 17)
    headers = world.compute_headers(honest.epoch)
    gas = {"claim: opens the position": world.enter(honest, alice).gas_used, "claim: a rival": world.enter(lie, mallory).gas_used}
    turn = [(honest, lie, alice), (lie, honest, mallory)]
    for round_ in range(HEIGHT // 4):
        mine, other, who = turn[round_ % 2]
        gas[f"descend {round_ + 1}"] = world.move(who, mine, other).gas_used
    proof = world.prove(alice, honest, lie, headers).gas_used
    step = measure_step(world, world.compute_args(headers[16]))
    gas["prove, without the step"] = proof - step
    gas["dispute: transactions"] = len(gas)
    gas["dispute: gas without the step"] = sum(list(gas.values())[:-1])
    world.pass_close(world.genesis)
    gas["finalize"] = world.finalize(honest).gas_used
    gas["withdraw_work"] = evm.transact(alice, world.claims, "withdraw_work", honest.id).gas_used
    gas["withdraw_stake"] = evm.transact(alice, world.claims, "withdraw_stake", honest.id).gas_used
    return gas


def measure_ends(world: World) -> dict[str, int]:
    """What a dispute of two does not need: a claim on a moved stake, a reveal by itself, an idle rival, a stake that follows."""
    evm = world.evm
    alice, mallory = evm.create_account(), evm.create_account()
    first = world.compute_honest(world.run_epoch())
    world.enter(first, alice)
    child = world.compute_honest(world.run_epoch(), first.id, first.post_root)
    gas = {"claim: on a moved stake": world.enter(child, alice, first.id).gas_used}
    rival = world.compute_lie(child, 3)
    world.enter(rival, mallory)
    gas["descend, without a reveal"] = world.move(alice, child, rival, next_too=False).gas_used
    gas["reveal"] = world.move(alice, child, rival).gas_used
    world.pass_close(first.id)
    evm.advance(world.times.grace_s + world.times.censorship_s + 1)
    gas["timeout"] = world.timeout(alice, child, rival).gas_used
    late = world.compute_honest(world.run_epoch(), child.id, child.post_root)
    world.enter(late, mallory)
    gas["advance_stake"] = evm.transact(alice, world.claims, "advance_stake", first.id, late.id).gas_used
    return gas


def measure_rounds(world: World) -> dict[str, int]:
    """Three claims in groups of two: one is pushed up, two die by one call; and a position in which nobody did anything."""
    world = World(height=HEIGHT, group_bits=1, evm=world.evm)
    evm = world.evm
    alice = evm.create_account()
    honest = world.compute_honest(world.run_epoch())
    epoch = world.run_epoch()
    claims = [honest, *(world.compute_lie(honest, 17 + i, i) for i in range(2))]
    for claim in claims:
        world.enter(claim, alice)
    child = world.compute_honest(epoch, claims[2].id, claims[2].post_root)
    for claim in (child, world.compute_lie(child, 5)):
        world.enter(claim, alice)
    world.pass_close(world.genesis)
    gas = {"promote": world.promote(claims[2], alice).gas_used}
    evm.advance(world.times.grace_s + world.times.censorship_s + 1)
    gas["timeout: of both"] = world.timeout(alice, claims[0], claims[1]).gas_used
    evm.set_time(max(evm.timestamp, world.get_start(claims[2].id, 1)))
    gas["reopen"] = world.reopen(claims[2].id).gas_used
    return gas


def measure_step(world: World, args: bytes) -> int:
    """What the toy step adds to a proof: its run by the judge, without the transaction's base and calldata."""
    data = world.judge.encode("run", args)
    receipt = world.evm.transact(world.deployer, world.judge, "run", args)
    calldata = sum(4 if byte == 0 else 16 for byte in data)
    return receipt.gas_used - 21_000 - calldata


def measure_steps() -> dict[str, int]:
    """Of every phase, and of every mode of a scan, the most."""
    gas: dict[str, int] = {}
    for start in make_all_worst(make_rules(MAINNET)):
        name = f"{STEP}{get_place(start)}"
        gas[name] = max(gas.get(name, 0), assert_twins(*start).gas)
    return gas


def describe_steps() -> list[str]:
    """Rows of the table in `docs/contracts.md`, from the snapshots: contract, phases, bytes, the most gas."""
    sizes, gas = json.loads(SIZES.read_text()), json.loads(SNAPSHOT.read_text())
    rows = []
    for name in dict.fromkeys(map(get_step_name, Phase)):
        phases = [phase.name for phase in Phase if get_step_name(phase) == name]
        places = [place for place in gas if place.startswith(STEP) and place.split()[1] in phases]
        rows.append(f"| `{name}` | {', '.join(phases)} | {sizes[name]:,} | {max(gas[place] for place in places):,} |")
    return rows


def measure() -> dict[str, int]:
    """Everything, on fresh chains."""
    sections = (measure_inbox, measure_dispute, measure_ends, measure_rounds)
    calls = {name: gas for section in sections for name, gas in section(World(height=HEIGHT, batch_depth=12, evm=PyEvm())).items()}
    return calls | measure_steps()


def encode(gas: dict[str, int]) -> str:
    """One line each."""
    return json.dumps(gas, indent=1) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(encode(measure()))
    print(SNAPSHOT.read_text())
    print("\n".join(describe_steps()))
