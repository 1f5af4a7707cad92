"""Arrays in calldata: one element more than a bound, an end that is missing, a place that is nowhere.

The compiler checks bounds. Beyond the end of the calldata it reads zeros: for claims and proofs they are wrong, a message is then what its
event says it is.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from protocol.codec.frames import Message, compute_message_hash
from protocol.keccak import WORD, ZERO
from sim.evm import Contract, Event, Reverted
from tests.contracts.world import World

FAR = (2**256 - 1, 2**255, 2**64, 2**32)


class Call(NamedTuple):
    """One that is right; `most` by argument: how many elements or bytes it may have."""

    contract: Contract
    function: str
    args: tuple[Any, ...]
    most: dict[int, int]
    sender: str
    value: int = 0


def make_claim(world: World) -> Call:
    claim = world.compute_honest(world.run_epoch())
    return Call(world.claims, "claim", (*claim.args, ZERO), {4: 16, 5: 28}, world.evm.create_account(), world.stake_wei)


def make_proof(world: World) -> Call:
    honest = world.compute_honest(world.run_epoch())
    lie = world.compute_lie(honest, 17)
    alice = world.evm.create_account()
    world.enter(honest, alice)
    world.enter(lie, alice)
    world.play(honest, lie, alice, alice)
    leaves = honest.history.get_node(0, 17), lie.history.get_node(0, 17)
    step = world.compute_args(world.compute_headers(honest.epoch)[16])
    return Call(world.claims, "prove", (honest.id, lie.id, *leaves, step, honest.history.prove_leaf(16)), {4: 28_672, 5: 28}, alice)


def make_message(world: World) -> Call:
    alice = world.evm.create_account()
    return Call(world.inbox, "send", (b"rows", b"\x01" * 65), {0: 1_024, 1: 32 * 65}, alice, world.evm.call(world.inbox, "fee"))


MAKERS: tuple[Callable[[World], Call], ...] = (make_claim, make_proof, make_message)
PLACES = [(maker, place) for maker, places in zip(MAKERS, ((4, 5), (4, 5), (0, 1)), strict=True) for place in places]


def send(world: World, call: Call, data: bytes) -> list[Event]:
    """The calldata as it is."""
    _, _, logs = world.evm._send(call.sender, call.contract.address, data, call.value, 1 << 24, 0)
    return [event for log in logs if (event := world.evm._decode_log(log)) is not None]


@pytest.mark.parametrize(("make", "name"), list(zip(MAKERS, ("Claimed", "ClaimDied", "MessageQueued"), strict=True)))
def test_call__as_it_should_be__taken(make: Callable[[World], Call], name: str) -> None:
    """Else the others would be refused for something else."""
    world = World()
    call = make(world)
    assert name in [event.name for event in send(world, call, call.contract.encode(call.function, *call.args))]


@pytest.mark.parametrize(("make", "place"), PLACES)
def test_array__one_more_than_its_bound__reverts(make: Callable[[World], Call], place: int) -> None:
    world = World()
    call = make(world)
    item = call.args[place]
    filler = bytes(call.most[place]) if isinstance(item, bytes) else [ZERO] * call.most[place]
    longer = (item + filler)[: call.most[place] + 1]
    args = [longer if at == place else arg for at, arg in enumerate(call.args)]
    with pytest.raises(Reverted) as refusal:
        send(world, call, call.contract.encode(call.function, *args))
    assert refusal.value.reason == "revert 0x"  # by the decoder, before anything of ours runs


def list_damaged(call: Call) -> Iterator[bytes]:
    """Without its last words; with an array's offset, or its length, far beyond the end."""
    data = call.contract.encode(call.function, *call.args)
    for cut in range(WORD, len(data) - 4, WORD):
        yield data[:-cut]
    for place in call.most:
        at = 4 + place * WORD
        length = 4 + int.from_bytes(data[at : at + WORD], "big")
        for word in (at, length):
            for far in FAR:
                yield data[:word] + far.to_bytes(WORD, "big") + data[word + WORD :]


@pytest.mark.parametrize("make", [make_claim, make_proof])
def test_claim_or_proof__damaged__reverts(make: Callable[[World], Call]) -> None:
    world = World()
    call = make(world)
    for data in list_damaged(call):
        with pytest.raises(Reverted):
            send(world, call, data)


def test_message__damaged__reverts_or_is_what_its_event_says() -> None:
    """Whoever reads the event has the rows and signatures that were hashed, and that the proof will be about."""
    world = World()
    call = make_message(world)
    taken = set()
    for data in list_damaged(call):
        snapshot = world.evm.take_snapshot()
        try:
            (event,) = send(world, call, data)
        except Reverted:
            continue
        fields = event.fields
        message = Message(fields["time"], int(fields["authority"], 16), fields["rows"], fields["signatures"])
        assert world.evm.call(world.inbox, "message_hashes", 0) == compute_message_hash(message)
        taken.add((message.rows, message.signatures))
        world.evm.restore(snapshot)
    assert (b"", call.args[1]) in taken
    assert (call.args[0], b"\x01" * 64 + b"\0") in taken
