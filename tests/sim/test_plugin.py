"""The pytest plugin: its example runs, its seed replays, and it leaves everybody alone who does not use it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "simulation.md").read_text(), re.DOTALL)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project of somebody else's."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Without what takes long to load, and without the installed entry point: what is here is tested."""
    others = [item for name in ("straddle", "cacheprovider", "hypothesispytest", "trio") for item in ("-p", f"no:{name}")]
    return project.runpytest_subprocess("-p", "sim.plugin", *others, *options, timeout=120)


def test_example__of_the_page__passes(project: pytest.Pytester) -> None:
    assert EXAMPLE is not None
    project.makepyfile(test_example=EXAMPLE[1])
    result = run(project, "--strict-markers", "--straddle-seed=7")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*--straddle-seed=7 replays this run"])


def test_challenger__that_does_nothing__is_told_what_it_failed_at(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest
        from sim.arena import Party

        class Lazy(Party):
            def land(self):
                return 0

        @pytest.mark.villain("silent")
        def test_lazy(villain):
            verdict = villain.run(Lazy)
            assert verdict.caught, verdict.faults
    """)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the truth of epoch * is not final*"])


def test_seed__unset_or_given__is_drawn_or_that_one(project: pytest.Pytester) -> None:
    project.makepyfile("def test_seed(seed):\n    print('drawn', seed)")
    drawn = re.search(r"drawn (\d+)", run(project, "-s").stdout.str())
    assert drawn is not None
    again = run(project, "-s", f"--straddle-seed={int(drawn[1]) ^ 1}")
    again.stdout.fnmatch_lines([f"*drawn {int(drawn[1]) ^ 1}*", f"*--straddle-seed={int(drawn[1]) ^ 1} replays this run"])


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ('@pytest.mark.villain("no-such-villain")', "*no villain*no-such-villain*"),
        ("", "*needs @pytest.mark.villain*"),
    ],
)
def test_villain__named_wrongly_or_not_at_all__is_a_usage_error(project: pytest.Pytester, mark: str, expected: str) -> None:
    project.makepyfile(f"import pytest\n{mark}\ndef test_it(villain):\n    pass\n")
    result = run(project)
    assert result.ret != 0
    (result.stdout if result.stdout.str().count("villain") else result.stderr).fnmatch_lines([expected])


def test_villain__group__is_all_of_it(project: pytest.Pytester) -> None:
    project.makepyfile('import pytest\n@pytest.mark.villain(group="path")\ndef test_it(villain):\n    pass\n')
    run(project).assert_outcomes(passed=9)


def test_fixtures_of_others__with_the_same_names__are_theirs(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.fixture(params=[1, 2])
        def villain(request):
            return request.param

        @pytest.fixture
        def world():
            return "mine"

        @pytest.mark.parametrize("seed", [5, 6])
        def test_mine(villain, world, seed):
            assert (villain in (1, 2), world, seed in (5, 6)) == (True, "mine", True)
    """)
    result = run(project)
    result.assert_outcomes(passed=4)
    assert "straddle-seed" not in result.stdout.str()


def test_import__unused__brings_nothing_heavy() -> None:
    heavy = ("protocol", "challenger", "contracts", "numpy", "pyrevm", "web3")
    code = f"import sys, sim.plugin; print([name for name in sys.modules if name.split('.')[0] in {heavy}])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.strip() == "[]"
