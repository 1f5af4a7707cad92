"""What the calls cost, and that a dispute stays affordable."""

import json

import pytest

from protocol.params import PRESETS
from protocol.types import Mode, Phase
from tests.contracts.gas import SNAPSHOT, STEP, encode, measure, measure_steps

MAX_DISPUTE_TRANSACTIONS = 10
MAX_DISPUTE_GAS = 1_200_000  # without the step
MAX_GAS_PRICE = 50 * 10**9  # what work is paid for at most
MAX_STEP_GAS = 10_000_000  # what the design allows; a transaction may have 16.7 million


@pytest.mark.slow
def test_gas_is_what_the_snapshot_says() -> None:
    """After a change on purpose: ``python -m tests.contracts.gas``."""
    assert encode(measure()) == SNAPSHOT.read_text()


def test_a_dispute_of_two_stays_in_its_budget() -> None:
    gas = json.loads(SNAPSHOT.read_text())
    assert gas["dispute: transactions"] <= MAX_DISPUTE_TRANSACTIONS
    assert gas["dispute: gas without the step"] < MAX_DISPUTE_GAS


@pytest.mark.parametrize("name", PRESETS)
def test_a_stake_pays_twice_for_the_dearest_duel(name: str) -> None:
    """At the highest price that work is paid at. `g_end`: all that comes after the duel, a step up included."""
    gas, params = json.loads(SNAPSHOT.read_text()), PRESETS[name]
    g_claim = max(gas[row] for row in gas if row.startswith("claim: "))
    g_move = max(gas[row] for row in gas if row.startswith(("descend", "reveal")))
    g_step = max(used for row, used in gas.items() if row.startswith(STEP))
    g_end = sum(gas[row] for row in ("prove, without the step", "promote", "finalize", "withdraw_work", "withdraw_stake"))
    assert params.stake_wei >= 2 * MAX_GAS_PRICE * (g_claim + params.rounds * g_move + g_step + g_end)


def test_posting_costs_little_more_than_its_bytes() -> None:
    """Hashing and parsing hide under the floor price of calldata."""
    gas = json.loads(SNAPSHOT.read_text())
    floor = gas["the same bytes at the floor price of calldata"]
    assert gas["post: 4 frames of 6,000 bytes, 200 signatures each"] < 1.02 * floor


def test_every_kind_of_step_is_in_the_snapshot_and_payable() -> None:
    gas = measure_steps()
    scans = [f"SCAN {mode.name}" for mode in Mode]
    assert set(gas) == {STEP + name for name in [*(phase.name for phase in Phase if phase != Phase.SCAN), *scans]}
    assert gas == {name: used for name, used in json.loads(SNAPSHOT.read_text()).items() if name.startswith(STEP)}
    assert max(gas.values()) <= MAX_STEP_GAS
