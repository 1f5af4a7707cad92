"""The pages name every door of the contracts, and their figures are the snapshots'."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from bench.dispute import SIMULATED, Course, count_duels, price
from bench.dispute import STEPS as TRIED
from contracts import load_artifact
from contracts.build import HERE
from protocol.params import MAINNET
from tests.contracts.gas import SNAPSHOT, STEP, describe_steps
from tests.contracts.test_gas import MAX_STEP_GAS

STEPS = {path.stem for path in (HERE / "steps").glob("*.vy")}
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "page"), [(name, "contracts.md") for name in ("Inbox", "Vault", "Judge", "Token")] + [("Claims", "dispute.md")]
)
def test_every_function_and_event_is_documented(name: str, page: str) -> None:
    words = set(re.findall(r"\w+", (DOCS / page).read_text()))
    doors = [item["name"] for item in load_artifact(name).abi if item["type"] in ("function", "event")]
    events = {"Transfer", "Approval"} if name == "Token" else set()  # as in the standard
    assert [door for door in doors if door not in words | events] == []


def test_table_of_steps_is_todays() -> None:
    """``python -m tests.contracts.gas`` prints it."""
    table = [line for line in (DOCS / "contracts.md").read_text().splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert [line for line in table if line.split("`")[1] in STEPS] == describe_steps()


def test_every_library_is_named() -> None:
    words = set(re.findall(r"\w+", (DOCS / "contracts.md").read_text()))
    assert {path.stem for path in (HERE / "lib").glob("*.vy")} <= words


def read_dispute() -> tuple[str, dict[str, int]]:
    """The page, and the snapshot that its figures are from."""
    return (DOCS / "dispute.md").read_text(), json.loads(SNAPSHOT.read_text())


def describe_calls(gas: dict[str, int]) -> list[str]:
    """Rows of the table of calls: what they are called there, thousands of gas."""
    k = {name: f"{used / 1000:.0f}k" for name, used in gas.items()}
    later = f"{max(gas[f'descend {at}'] for at in range(3, 7)) / 1000:.0f}k"
    descents = f"{k['descend 1']}, {k['descend 2']} / {later} / {k['descend 7']}"
    return [
        f"| claim: opens the position / a rival | {k['claim: opens the position']} / {k['claim: a rival']} |",
        f"| descend with the next reveal: the first two / later / the last | {descents} |",
        f"| prove, without the step | {k['prove, without the step']} |",
        f"| timeout / finalize | {k['timeout']} / {k['finalize']} |",
        f"| advance_stake | {k['advance_stake']} |",
    ]


def describe_sybils(gas: dict[str, int]) -> list[str]:
    """Rows of the table of Sybils. The bench fails where the model comes to other duels than the formula."""
    rows: list[str] = []
    unpaid: dict[str, float] = defaultdict(float)
    for sybils in SIMULATED:
        duels = count_duels(sybils + 1, MAINNET)
        course = Course([], duels, 0)
        laid_out = " | ".join(f"{price(course, step, gas, unpaid)['float_eth_at_5_gwei']:.2f} ETH" for step in TRIED.values())
        days = (MAINNET.entry_s + len(duels) * MAINNET.tournament_round_s) / 86_400
        rows.append(f"| {sybils:,} | {len(duels)} | {sum(duels)} | {laid_out} | {days:.1f} days |")
    return rows


def test_costs_of_a_dispute__the_snapshot__are_todays() -> None:
    page, gas = read_dispute()
    rows = page.partition("\n## Cost\n")[2].partition("\n## ")[0].splitlines()
    found = [row for row in rows if row.startswith("| ") and not row.startswith(("| | gas", "| Sybils"))]
    assert found == [*describe_calls(gas), *describe_sybils(gas)]
    totals = f"in {gas['dispute: transactions']} transactions and {gas['dispute: gas without the step']:,} gas, without the step itself"
    assert totals in page


def test_gas_of_a_step__wherever_the_page_gives_it__is_the_snapshots_dearest_or_the_limit() -> None:
    page, gas = read_dispute()
    dearest = max(used for name, used in gas.items() if name.startswith(STEP))
    assert set(re.findall(r"dearest (?:step )?measured takes ([\d.]+)M", page)) == {f"{dearest / 1e6:.1f}"}
    limits = re.findall(r"limit(?: of a step)?(?: is|,) ([\d.]+)M", page)
    assert (len(limits), set(limits)) == (3, {f"{MAX_STEP_GAS / 1e6:.0f}"})
    assert max(TRIED.values()) == MAX_STEP_GAS
    assert dearest <= MAX_STEP_GAS
    (beside,) = re.findall(r"\| one step on L1 \| ([^|]*) \|", page)
    assert re.findall(r"[\d.]+M", beside) == [f"{dearest / 1e6:.1f}M", f"{MAX_STEP_GAS / 1e6:.0f}M"]
