"""Every lie is named by its operation, and where it is about money, by account and amount."""

import pytest

from protocol.history import History
from protocol.params import MINIMAL
from protocol.state import State
from protocol.trace import Machine
from sim.baits import USD, make_epoch
from sim.finding import find_step
from sim.villains.lies import LIES, LOOT, Bait
from sim.villains.steps import LYING_BATCH, TABLES, get_table_name

EXPECTED = {
    "minted-root": ("FETCH", 0, LOOT),
    "forged-signature": ("ORDER", 1, -1),
    "overfill": ("TRADE", 0, -1),
    "waived-margin": ("TRADE", 3, -1),
    "overpaid-withdrawal": ("WITHDRAW", 1, 900_000 * USD),
    "spared-account": ("SCAN", 2, -1),
    "forged-mark": ("MARK", -1, -1),
    "invented-deposit": ("DEPOSIT", 0, 77_000 * USD),
    "misinflated-frame": ("INFLATE", -1, -1),
}


@pytest.mark.parametrize("name", LIES)
def test_find_step__first_wrong_leaf__says_what_and_whose(name: str) -> None:
    lie = LIES[name]
    scribe, batches = make_epoch(MINIMAL, lie.bait)
    truth = History(Machine(State(MINIMAL), batches, scribe.rules))
    false = History(Machine(State(MINIMAL), batches, scribe.rules, lie.steps))
    step = next(i for i in range(truth.steps + 1) if truth.get_leaf(i) != false.get_leaf(i))
    finding = find_step(State(MINIMAL), batches, scribe.rules, step, lie.steps)
    assert (finding.operation, finding.account, finding.amount) == EXPECTED[name]
    assert (finding.leaf, finding.lying_leaf) == (truth.get_leaf(step), false.get_leaf(step))
    assert finding.batch in (0, 1)
    assert finding.reason


def test_find_step__leaf_zero__is_refused() -> None:
    with pytest.raises(ValueError, match="opening"):
        find_step(State(MINIMAL), [], make_epoch(MINIMAL)[0].rules, 0)


def test_tables__lies_without_bait__are_told_in_one_epoch_only() -> None:
    scribe, batches = make_epoch(MINIMAL)
    truth = History(Machine(State(MINIMAL), batches, scribe.rules))
    for name, lie in LIES.items():
        module, _, attribute = get_table_name(name).partition(":")
        assert module == "sim.villains.steps"
        assert attribute == name.upper().replace("-", "_")
        if lie.bait == Bait.NOTHING:
            assert History(Machine(State(MINIMAL), batches, scribe.rules, TABLES[name])).root == truth.root
            chosen = [batch._replace(record=batch.record._replace(number=LYING_BATCH + at)) for at, batch in enumerate(batches)]
            honest = History(Machine(State(MINIMAL), chosen, scribe.rules)).root
            assert History(Machine(State(MINIMAL), chosen, scribe.rules, TABLES[name])).root != honest
