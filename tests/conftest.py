"""What every test may rely on: hypothesis profiles, the seed of a random run, and the optional market data beside the checkout.

`HYPOTHESIS_PROFILE` is `ci` (the default: the same examples every time) or `fuzz` (`make fuzz`: many, new ones each time).
`STRADDLE_SEED` seeds tests that draw on their own. `STRADDLE_REQUIRE_SHARED=1` says that the data must be there: a test that
wants it and would skip fails instead.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
REQUIRE_SHARED = os.environ.get("STRADDLE_REQUIRE_SHARED") == "1"
SEED = int(os.environ.get("STRADDLE_SEED", "1"))

# Example counts bound the whole suite's time, so no deadline per example: two cores are often shared.
settings.register_profile(
    "ci", derandomize=True, max_examples=60, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fuzz", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_shared_runs: set[str] = set()


def pytest_report_header() -> str:
    """The two values that make a failing run repeatable, beside the commit."""
    return f"straddle: STRADDLE_SEED={SEED} HYPOTHESIS_PROFILE={os.environ.get('HYPOTHESIS_PROFILE', 'ci')}"


@pytest.fixture
def seed() -> int:
    """For tests that draw with `random.Random(seed)`. Printed, so a failure's captured output names it."""
    print(f"STRADDLE_SEED={SEED}")
    return SEED


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded market data. It is not part of the repository, so tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("no market data beside the checkout (../shared/data)")
    return SHARED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Counts the tests that read the shared data, and makes their skipping an error where the data is required."""
    report = yield
    if "shared" in getattr(item, "fixturenames", ()):
        if report.skipped and REQUIRE_SHARED:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: skipped although STRADDLE_REQUIRE_SHARED=1: {report.longrepr}"
        elif report.when == "call":
            _shared_runs.add(item.nodeid)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """`.ci/run` reads this line."""
    terminalreporter.write_line(f"tests on shared data: {len(_shared_runs)}")
