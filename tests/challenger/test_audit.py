"""An endpoint that leaves an event out is found out before it does harm, and one that leaves out none is never blamed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from challenger.audit import Hidden, audit, audit_queue
from challenger.board import Status, apply_block, create_board
from challenger.epochs import compute_links
from l1.client import Client
from l1.contracts import ClaimDied, Claimed, ClaimPromoted, Descended, PositionReopened, Revealed
from l1.shapes import Malformed
from sim.arena import Garbage, Party, Strategy, Villain, World, find_right, play
from sim.court import STRANGER, Block, Court

ALICE = 0xA11CE
TOLD = (Claimed, ClaimDied, ClaimPromoted, Descended, Revealed, PositionReopened)


class CourtClient(Client):
    """Views of the court's chain, as it is now."""

    def __init__(self, court: Court) -> None:
        self._court = court

    async def call(self, to: bytes, data: bytes, *_: Any, **__: Any) -> bytes:
        return self._court.evm._query("0x" + "00" * 20, "0x" + to.hex(), data, 1 << 24)


async def check(alice: Party, blocks: Sequence[Block]) -> None:
    """Of the board that these blocks lead to."""
    court = alice.world.court
    board = create_board(court.params, alice.state.settings.genesis_root)
    for block in blocks:
        board = apply_block(board, block.header, block.events)
    inbox, claims = (bytes.fromhex(court.contracts[name].address[2:]) for name in ("Inbox", "Claims"))
    await audit_queue(CourtClient(court), inbox, board)
    await audit(CourtClient(court), claims, board, compute_links(board, alice.state.truths, board.now))


def matters(alice: Party, event: object) -> bool:
    """Duels that are over do not, nor does who waits further up."""
    claims = alice.state.board.claims
    match event:
        case Revealed(mine, other):
            return all(claims[claim_id].status == Status.PENDING for claim_id in (mine, other))
        case Descended(low, high):
            return all(claims[claim_id].status == Status.PENDING for claim_id in (low, high))
        case ClaimPromoted(claim_id, _, round_):
            right = find_right([alice])
            return right is not None and (claim_id == right or claims[right].round >= round_)
        case _:
            return True


async def check_each_left_out(alice: Party) -> set[type]:
    """Kinds of events of which each was missed."""
    blocks, kinds = alice.world.court.blocks, set()
    for number, block in enumerate(blocks):
        for place, event in enumerate(block.events):
            if isinstance(event, TOLD) and matters(alice, event):
                less = replace(block, events=block.events[:place] + block.events[place + 1 :])
                with pytest.raises((Hidden, Malformed)):
                    await check(alice, [*blocks[:number], less, *blocks[number + 1 :]])
                kinds.add(type(event))
    return kinds


async def test_forced_message__left_out__is_missed_while_it_waits_and_after() -> None:
    world = World()
    court, alice = world.court, Party(world, ALICE)
    for _ in range(2):
        court.transact(STRANGER, "Inbox", "send", b"\x00", b"", value=court.call("Inbox", "fee"))
    await check(alice, court.blocks)
    with pytest.raises(Hidden):
        await check(alice, court.blocks[:-1])
    with pytest.raises(Malformed):
        await check(alice, [*court.blocks[:-2], court.blocks[-1]])
    queued = court.blocks[:]
    court.advance(court.params.inclusion_delay_s + 1)
    court.transact(STRANGER, "Inbox", "post_queue")
    await check(alice, court.blocks)
    with pytest.raises(Hidden):
        await check(alice, queued)


async def test_tournament__every_event_left_out_once__is_missed() -> None:
    world = World()
    villains = [Villain(world, world.lie(), strategy=Strategy.LAST_SECOND, slack_s=5)]
    for seed in range(5):
        garbage = Garbage(world.truth, seed)
        villains.append(Villain(world, world.enter(0xBAD, garbage), garbage, Strategy.SILENT))
    alice = Party(world, ALICE)
    alice.land()
    missed: set[type] = set()
    court = world.court
    while court.get_position(court.genesis).winner == bytes(32):
        for _ in range(4):
            play(world, [alice], villains, turns=1, tick_s=20)
        alice.catch_up()
        await check(alice, court.blocks)
        if not court.call("Claims", "is_final", find_right([alice])):
            missed |= await check_each_left_out(alice)
    await check(alice, court.blocks)
    assert missed >= {Claimed, ClaimDied, ClaimPromoted, Descended, Revealed}
