"""The guards of every file find what they are there to find."""

import pytest

from tests.checks.legibility import MAX_FILE_LINES, MAX_FUNCTION_LINES, find_long_vyper_functions, find_python_problems, find_text_problems

# In two halves, so that this file passes its own check.
BAD_LINES = {
    "# TO" + "DO: later": "unfinished",
    "# FIX" + "ME": "unfinished",
    "path = '/" + "work/main'": "path of one machine",
    "see /" + "root/.cache": "path of one machine",
    "cd /" + "home/ann/straddle": "path of one machine",
    "pip install --index-" + "url x": "package host",
    "https://py" + "pi.org/simple": "package host",
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.items())
def test_a_planted_line_is_found(line: str, reason: str) -> None:
    """Wherever it stands in the file, with its number."""
    (problem,) = find_text_problems("docs/planted.md", f"first\n{line}\nlast\n")
    assert problem.startswith("docs/planted.md:2: ")
    assert reason in problem


@pytest.mark.parametrize("line", ["the state/root/leaf", "todo_list = 1", "https://example.org/work/x", "GET /v1/home"])
def test_a_harmless_line_passes(line: str) -> None:
    """The patterns do not fire on words that merely look alike."""
    assert find_text_problems("docs/planted.md", line + "\n") == []


@pytest.mark.parametrize("suffix", ["py", "vy"])
def test_a_file_has_a_length(suffix: str) -> None:
    """The limit itself passes."""
    assert find_text_problems(f"l1/planted.{suffix}", "\n" * MAX_FILE_LINES) == []
    assert len(find_text_problems(f"l1/planted.{suffix}", "\n" * (MAX_FILE_LINES + 1))) == 1


def _write_function(lines: int) -> str:
    return "def f() -> None:\n" + "    g()\n" * (lines - 1)


def test_a_function_has_a_length() -> None:
    """In Python it is forbidden, in Vyper reported."""
    assert find_python_problems("l1/planted.py", _write_function(MAX_FUNCTION_LINES)) == []
    assert len(find_python_problems("l1/planted.py", _write_function(MAX_FUNCTION_LINES + 1))) == 1
    short = "def f(\n    a: uint256,\n) -> uint256:\n    return a\n\n\n@internal\ndef g():\n    pass\n" + "\n# note\n" * 70
    long = "def f(\n    a: uint256,\n) -> uint256:\n" + "    x += 1\n\n" * MAX_FUNCTION_LINES + "@internal\ndef g():\n    pass\n"
    assert find_long_vyper_functions("contracts/planted.vy", short) == []
    (remark,) = find_long_vyper_functions("contracts/planted.vy", long)
    assert "function f has" in remark


BAD_CODE = {
    "try:\n    f()\nexcept:\n    g()\n": "without a type",
    "try:\n    f()\nexcept ValueError:\n    pass\n": "only passes",
    "try:\n    f()\nexcept ValueError:\n    ...\n": "only passes",
    "def f():\n    raise NotImplementedError\n": "not written",
    "def f():\n    raise NotImplementedError('soon')\n": "not written",
}


@pytest.mark.parametrize(("source", "reason"), BAD_CODE.items())
def test_planted_code_is_found(source: str, reason: str) -> None:
    """Swallowed exceptions and parts left out."""
    problems = find_python_problems("node/planted.py", source)
    assert any(reason in problem for problem in problems), problems


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept ValueError as error:\n    raise Bad(str(error)) from error\n",
        "try:\n    f()\nexcept NotImplementedError:\n    g()\n",
        "with suppress(KeyError):\n    f()\n",
    ],
)
def test_honest_handling_passes(source: str) -> None:
    """Naming what is ignored is allowed; so is catching what a library has left out."""
    assert find_python_problems("node/planted.py", source) == []


@pytest.mark.parametrize("body", ["run()", "x = compute()", "pass"])
def test_a_test_that_checks_nothing_is_found(body: str) -> None:
    """But only among tests."""
    source = f"def test_it():\n    {body}\n"
    (problem,) = find_python_problems("tests/l1/test_planted.py", source)
    assert "cannot fail" in problem
    assert find_python_problems("sim/planted.py", source) == []


@pytest.mark.parametrize("body", ["assert f() == 1", "with pytest.raises(ValueError):\n        f()", "assert_twins(state, row)"])
def test_a_test_that_checks_passes(body: str) -> None:
    """An assertion, an expected exception or one of the helpers."""
    assert find_python_problems("tests/l1/test_planted.py", f"def test_it():\n    {body}\n") == []
