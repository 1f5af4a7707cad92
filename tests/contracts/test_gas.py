"""What the calls cost, and that a dispute stays affordable."""

import json

import pytest

from protocol.types import Mode, Phase
from tests.contracts.gas import SNAPSHOT, STEP, encode, measure, measure_steps

MAX_DISPUTE_TRANSACTIONS = 14
MAX_DISPUTE_GAS = 1_500_000  # without the step
MAX_STEP_GAS = 10_000_000  # what the design allows; a transaction may have 16.7 million


@pytest.mark.slow
def test_gas_is_what_the_snapshot_says() -> None:
    """After a change on purpose: ``python -m tests.contracts.gas``."""
    assert encode(measure()) == SNAPSHOT.read_text()


def test_a_dispute_of_two_stays_in_its_budget() -> None:
    gas = json.loads(SNAPSHOT.read_text())
    assert gas["dispute: transactions"] <= MAX_DISPUTE_TRANSACTIONS
    assert gas["dispute: gas without the step"] <= MAX_DISPUTE_GAS


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
