"""Every kind of step in Python and on L1; and that the comparison would notice if they differed."""

from pathlib import Path

import pytest

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import deposit
from protocol.types import Header
from sim.twins import Twins, TwinsDiffer, assert_twins, runner
from sim.twins.__main__ import KINDS, REACHABLE, Tally, replay, run_kind, run_start
from sim.twins.account_cases import make_deposit
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.replay import Start
from sim.twins.runner import MAX_ARGUMENT_BYTES, get_twins
from sim.twins.worst import make_all_worst

RUNS = 80
MAX_STEP_GAS = 10_000_000  # what the design allows a step with its calldata; a transaction may have 16.7 million


@pytest.mark.parametrize("name", KINDS)
def test_random_steps_are_equal(name: str, seed: int) -> None:
    tally = Tally()
    run_kind(get_twins(), tally, name, RUNS, seed)
    assert not tally.shown, tally.shown
    assert tally.runs == RUNS == len(tally.gas)
    assert tally.codes["OK"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_code_is_reached(name: str, seed: int) -> None:
    tally = Tally()
    run_kind(get_twins(), tally, name, 400, seed)
    assert not tally.shown, tally.shown
    assert not tally.get_unreached(name)
    assert set(tally.codes) == {code.name for code in REACHABLE[name]}
    assert tally.forged_reverts > 0


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.params.name)
def test_worst_steps_are_equal_and_payable(rules: Rules) -> None:
    for start in make_all_worst(rules):
        outcome = assert_twins(*start)
        assert outcome.gas <= MAX_STEP_GAS
        assert len(outcome.arguments) <= MAX_ARGUMENT_BYTES


def find_good_deposit() -> Start:
    for at in range(100):
        start = make_deposit(Dice(f"good {at}"), ALL_RULES[0])
        after, code = deposit.step(start.header, start.state.copy(), start.pre.copy(), start.rules)
        if code == Code.OK and after.phase:
            return start
    raise RuntimeError("no good deposit in a hundred")


@pytest.mark.parametrize("lie", ["state", "code", "header", "failure"])
def test_a_planted_difference_is_found_and_replayed(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "OUT", tmp_path)
    honest = deposit.step

    def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        after, code = honest(h, view, pre, rules)
        match lie:
            case "state":
                index = pre.items[1]
                account = view.get_account(index)
                view.put_account(index, account._replace(cash=account.cash + 1))
            case "code":
                code = Code.CASH
            case "header":
                after = after._replace(signature=after.signature + 1)
            case _:
                raise ZeroDivisionError
        return after, code

    start = find_good_deposit()
    with monkeypatch.context() as patched:
        patched.setattr(deposit, "step", step)
        with pytest.raises(TwinsDiffer, match="DEPOSIT"):
            get_twins().assert_twins(*start, context="planted")
        (path,) = [item for item in tmp_path.iterdir() if item.suffix == ".json"]
        assert replay(path) == 1
    assert replay(path) == 0


def test_a_forged_witness_that_decides_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "OUT", tmp_path)
    start = find_good_deposit()
    before = Start(start.header, start.state.copy(), start.pre.copy(), start.rules)
    outcome = assert_twins(*start)
    assert get_twins().assert_robust(before, outcome, Dice(1)) in (True, False)
    # a contract that gave this answer to another witness: what the check is there for
    forged = outcome._replace(after=outcome.after._replace(signature=outcome.after.signature + 1))
    monkeypatch.setattr(runner, "mutate", lambda arguments, rng: arguments)
    monkeypatch.setattr(runner, "falsify", lambda start, arguments, rng: arguments)
    with pytest.raises(TwinsDiffer, match="forged witness"):
        get_twins().assert_robust(before, forged, Dice(1))


def test_a_step_that_only_python_can_run_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "OUT", tmp_path)
    tally = Tally()

    def call(self: Twins, phase: int, arguments: bytes, rules: Rules) -> runner.Raw:
        return None, 0, "OutOfGas"

    monkeypatch.setattr(Twins, "call", call)
    run_start(Twins(), tally, find_good_deposit(), None, "reverting")
    assert tally.mismatches == 1
    assert "reverted" in tally.shown[0]
