"""A sequencer that is gone, or leaves messages out: the queue that a stranger posts is claimed and disputed like any batch."""

from types import MappingProxyType

import pytest

from challenger.evidence import Evidence
from l1.contracts import ClaimDied, StepProven
from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.history import History
from protocol.keccak import keccak
from protocol.leap import Leap
from protocol.machine import Preimages, StepFunction
from protocol.margin import compute_mark
from protocol.rules import Rules
from protocol.series import encode_series
from protocol.state import View
from protocol.steps import STEPS, message
from protocol.trace import Machine
from protocol.types import Header, Phase, compute_record_hash
from sim.arena import Party, Villain, World, play
from sim.baits import EXPIRY, make_market
from sim.court import STRANGER
from sim.villains.lies import LIES

HONEST = 0xA11CE
VILLAIN = 0xBAD
USD = 1_000_000
CALL = encode_series(0, EXPIRY, 95_000 * USD, 1)


def unheard(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A message has no rows."""
    h, code = message.step(h, view, pre, rules)
    pre.rows = b""
    return h._replace(rows=keccak(b"")), code


TABLES: dict[str, MappingProxyType[Phase, StepFunction]] = {
    "unheard-message": MappingProxyType({**STEPS, Phase.MESSAGE: unheard}),
    **{name: MappingProxyType(dict(LIES[name].steps)) for name in ("overpaid-withdrawal", "waived-margin", "forged-signature")},
}


def force_queue(world: World, is_alive: bool = False) -> list[Batch]:
    """Forced: a withdrawal of too much, a trade between two, one that its taker cannot afford, and one that nobody signed. Posted by
    a stranger, once they are overdue; the sequencer's own batch comes behind, if it is alive. The epoch is over when this returns."""
    scribe, court = world.scribe, world.court
    scribe.clock = court.now
    scribe.withdraw(1, 900_000 * USD)
    scribe.withdraw(0, 10 * USD)
    scribe.force(STRANGER)
    price = (compute_mark(CALL, world.truth.machine.state.get_markets()[0]) or 0) // 100
    ask, bid = scribe.order(0, CALL, 0, price, 4), scribe.order(3, CALL, 1, price, 4)
    scribe.trade(0, ask, 3, bid, 3)
    scribe.force(STRANGER + 1)
    scribe.trade(3, scribe.order(3, CALL, 1, price, 20), 2, scribe.order(2, CALL, 0, price, 10_000), 10)
    scribe.order(1, CALL, 0, price, 50, signer=scribe.keys[0])
    scribe.force(STRANGER + 2)
    batches = [scribe.close_queue(scribe.clock + court.params.inclusion_delay_s + 1)]
    for queued in batches[0].messages:
        court.queue(queued)
    court.advance(court.params.inclusion_delay_s + 1)
    court.transact(STRANGER, "Inbox", "post_queue")
    if is_alive:
        scribe.clock = court.now
        scribe.mark(0, make_market(court.now))
        batches.append(scribe.close_batch(first=court.now))
        court.post(batches[1])
    world.batches |= {compute_record_hash(batch.record): batch for batch in batches}
    epoch = court.now // court.params.epoch_s
    court.set_time((epoch + 1) * court.params.epoch_s)
    world.epoch = epoch
    return batches


@pytest.mark.parametrize("is_alive", [False, True], ids=["no sequencer", "a late one"])
@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("unheard-message", Phase.MESSAGE),
        ("overpaid-withdrawal", Phase.WITHDRAW),
        ("waived-margin", Phase.TAKER),
        ("forged-signature", Phase.ORDER),
    ],
)
def test_lie_about_a_queue_that_a_stranger_posted__caught_by_one_step(name: str, phase: Phase, is_alive: bool) -> None:
    world = World(LIES["minted-root"])
    court = world.court
    before = world.truth.machine.state
    first = court.claim(HONEST, court.genesis, world.epoch, world.truth).value
    batches = force_queue(world, is_alive)
    world.truth = History(Machine(before.copy(), batches, court.rules))
    world.false = History(Machine(before.copy(), batches, court.rules, TABLES[name]))
    wrong = court.claim(VILLAIN, first, world.epoch, world.false).value
    party = Party(world, HONEST)
    play(world, [party], Villain(world, wrong), turns=40)
    events = [event for block in court.blocks for event in block.events]
    assert [event.claim_id for event in events if isinstance(event, ClaimDied)] == [wrong]
    assert any(isinstance(event, StepProven) for event in events)
    (evidence,) = party.get_reports(Evidence)
    assert (evidence.claim_id, evidence.facts.phase, evidence.facts.batch) == (wrong, phase.name, batches[0].record.number)
    court.set_time(max(court.now, court.get_position(first).close))
    play(world, [party], turns=40, tick_s=5)
    winner = court.get_position(first).winner
    assert court.call("Claims", "get_final_root", winner) == world.truth.machine.header.state


def test_queue_that_a_stranger_posted__does_what_was_asked_and_no_more() -> None:
    world = World(LIES["minted-root"])
    state = world.truth.machine.state.copy()
    outbox, held, free = len(state.outbox), dict(state.get_account(3).positions), state.get_account(1).cash
    (batch,) = force_queue(world)
    outcomes = Leap(state, world.court.rules).apply_batch(batch)
    assert [outcome.code for outcome in outcomes] == [*[Code.OK] * 7, Code.MARGIN, Code.SIGNATURE]
    assert [amount for _, amount in state.outbox[outbox:]] == [free, 10 * USD], "what is free, not what was asked for"
    assert dict(state.get_account(3).positions)[CALL] == held[CALL] + 3
