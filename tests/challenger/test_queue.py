"""Forced messages that nobody takes in: who posts them, when, and that their epoch is one like any other."""

from dataclasses import replace

import pytest

from challenger.board import apply_block
from challenger.calls import QUEUE_GAS
from challenger.events import PostQueue
from l1.contracts import BatchPosted, Event, MessageQueued
from l1.shapes import Malformed
from protocol.codec.frames import Batch
from protocol.history import History
from protocol.keccak import ZERO
from protocol.trace import Machine
from protocol.types import compute_record_hash
from sim.arena import Party, World, play
from sim.court import STRANGER

ALICE, CAROL = 0xA11CE, 0xCA401
USD = 1_000_000
MAX_MESSAGES = 256  # that one batch takes
COLD_GAS = 2_100  # of a message's hash in storage


class Silence:
    """A sequencer that is gone after the first epoch, and a withdrawal that is forced in."""

    def __init__(self) -> None:
        self.world = World()
        self.court = self.world.court
        self.patience = 2 * self.court.params.inclusion_delay_s
        self.world.scribe.clock = self.court.now
        self.first = self.court.call("Inbox", "messages_consumed")
        self.since = self.court.now
        self.world.scribe.withdraw(0, 10 * USD)
        self.world.scribe.force(STRANGER)

    def force(self) -> Batch:
        """The batch that the queue will be once the patience of others is over."""
        batch = self.world.scribe.close_queue(self.since + self.patience + 1)
        self._queue(batch)
        return batch

    def force_to_the_sequencer(self) -> Batch:
        """Not posted yet."""
        self.world.scribe.cancel(0)
        batch = self.world.scribe.close_batch()
        self._queue(batch)
        return batch

    def _queue(self, batch: Batch) -> None:
        for message in batch.messages:
            self.court.queue(message)
        self.world.batches[compute_record_hash(batch.record)] = batch

    def get_posts(self) -> list[int]:
        """Who posted queues."""
        return [receipt.sender for receipt in self.court.receipts if receipt.function == "Inbox.post_queue"]


def get_names(party: Party) -> list[str]:
    return [send.name for send in party.sent if isinstance(send.action, PostQueue)]


def test_queue_that_nobody_takes_in__is_posted_once_after_twice_the_delay() -> None:
    s = Silence()
    alice, watcher = Party(s.world, ALICE), Party(s.world, None)
    s.force()
    s.court.set_time(s.since + s.patience)
    play(s.world, [alice], turns=2, tick_s=0)
    assert get_names(alice) == [], "others have had their chance only when it is over"
    s.court.advance(1)
    play(s.world, [alice], turns=20)
    watcher.catch_up()
    assert get_names(alice) == [f"queue:{s.first}"]
    assert (s.get_posts(), alice.failures, watcher.sent) == ([ALICE], [], [])
    assert s.court.call("Inbox", "messages_consumed") == alice.state.board.consumed == s.first + 1
    assert not alice.state.board.waiting


def test_queue_that_the_sequencer_takes_in__is_left_to_it() -> None:
    s = Silence()
    alice = Party(s.world, ALICE)
    batch = s.force_to_the_sequencer()
    alice.catch_up()
    assert len(alice.state.board.waiting) == 1
    s.court.post(batch)
    s.court.set_time(s.since + s.patience + 1)
    play(s.world, [alice], turns=20)
    assert (get_names(alice), alice.state.board.consumed, len(alice.state.board.waiting)) == ([], s.first + 1, 0)


def test_two_challengers__one_of_them_posts() -> None:
    s = Silence()
    parties = [Party(s.world, who, takes_turns=True) for who in (ALICE, CAROL)]
    s.force()
    s.court.set_time(s.since + s.patience + 1)
    play(s.world, parties, turns=s.court.params.grace_s)
    assert len(s.get_posts()) == 1
    assert [party.failures for party in parties] == [[], []]


def test_reorg__post_undone__is_posted_again() -> None:
    s = Silence()
    alice = Party(s.world, ALICE)
    s.force()
    s.court.set_time(s.since + s.patience + 1)
    alice.catch_up()
    point = s.court.get_point()
    play(s.world, [alice], turns=3)
    alice.catch_up()
    assert alice.state.board.consumed == s.first + 1
    alice.undo(alice.seen - point.blocks)
    assert (alice.state.board.consumed, dict(alice.state.board.waiting)) == (s.first, {s.first: s.since})
    s.court.reorganise(point)
    s.court.advance(1)
    play(s.world, [alice], turns=20)
    assert get_names(alice) == [f"queue:{s.first}"] * 2
    assert (s.get_posts(), alice.failures) == ([ALICE], [])


def test_more_than_a_batch_takes__is_posted_in_two_and_the_gas_suffices_twice() -> None:
    s = Silence()
    alice = Party(s.world, ALICE)
    for _ in range(MAX_MESSAGES + 1):
        s.court.transact(STRANGER, "Inbox", "send", b"\x00", b"", value=s.court.call("Inbox", "fee"))
    s.court.advance(s.patience + 1)
    play(s.world, [alice], turns=20)
    assert get_names(alice) == [f"queue:{s.first}", f"queue:{s.first + MAX_MESSAGES}"]
    assert (s.get_posts(), alice.failures) == ([ALICE, ALICE], [])
    gas = [receipt.gas for receipt in s.court.receipts if receipt.function == "Inbox.post_queue"]
    assert 2 * (max(gas) + MAX_MESSAGES * COLD_GAS) < QUEUE_GAS, "this chain counts what an earlier transaction wrote as warm"
    assert not alice.state.board.waiting


def test_epoch_of_a_queue_that_a_challenger_posted__is_claimed_and_becomes_final() -> None:
    s = Silence()
    alice = Party(s.world, ALICE, claim_if_missing=True)
    before = s.world.truth.machine.state.copy()
    paid = len(before.outbox)
    batch = s.force()
    s.court.set_time(s.since + s.patience + 1)
    play(s.world, [alice], turns=60, tick_s=5)
    truth = History(Machine(before, [batch], s.court.rules))
    (claim,) = [c for c in alice.state.board.claims.values() if c.post_root == truth.machine.header.state]
    assert claim.history == truth.root
    assert s.court.call("Claims", "get_final_root", claim.id) == truth.machine.header.state
    assert len(truth.machine.state.outbox) == paid + 1
    assert (s.get_posts(), alice.failures) == ([ALICE], [])


def test_events_that_the_inbox_cannot_have_emitted__are_malformed() -> None:
    s = Silence()
    board = Party(s.world, None).state.board
    header = replace(board.header, number=board.header.number + 1)
    message = MessageQueued(s.first, STRANGER, header.time, b"", b"")
    epoch = header.time // s.court.params.epoch_s
    batch = BatchPosted(9, epoch, 0, 0, 0, s.first, 1, ZERO, 0, ZERO)
    assert apply_block(board, header, [message, batch]).consumed == s.first + 1
    wrong: list[tuple[Event, ...]] = [
        (batch,),
        (message, message),
        (replace(message, index=s.first + 1),),
        (message, replace(batch, message_start=0)),
    ]
    for events in wrong:
        with pytest.raises(Malformed):
            apply_block(board, header, events)
