"""What no file of the repository may contain, and how long files and functions may be."""

import ast
import re
from collections.abc import Iterator

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60

# Spelled in two halves so that this file passes its own check.
_UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
_UNWRITTEN = "NotImplemented" + "Error"
_MACHINE_PATH = re.compile(r"(?<![\w.~>}\])-])/(?:work|root|home|Users|opt|mnt)/[\w.-]|[A-Z]:\\\\?Users\\")
_PACKAGE_HOST = re.compile("py" + r"pi\.org|python" + r"hosted|--(?:extra-)?index-" + r"url|--find-" + r"links|--trusted-" + "host")
_VYPER_DEF = re.compile(r"^def (\w+)\(")
# Calls that check something, besides `assert` itself.
_CHECKING_CALL = re.compile(r"^_?(assert|check|verify|expect|fail|raises|warns|run_state_machine)")


def find_text_problems(path: str, text: str) -> list[str]:
    """For every text file: unfinished work, paths of one machine, package hosts; for sources the length too."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if _UNFINISHED.search(line):
            found.append(f"{path}:{number}: unfinished work")
        if _MACHINE_PATH.search(line):
            found.append(f"{path}:{number}: a path of one machine")
        if _PACKAGE_HOST.search(line):
            found.append(f"{path}:{number}: a package host")
    lines = text.count("\n")
    if path.endswith((".py", ".vy", ".vyi")) and lines > MAX_FILE_LINES:
        found.append(f"{path}: {lines} lines, at most {MAX_FILE_LINES}")
    return found


def find_python_problems(path: str, source: str) -> list[str]:
    """Long functions, swallowed exceptions, parts left out, tests that cannot fail."""
    found = []
    is_test_file = path.startswith("tests/") and path.rsplit("/", 1)[-1].startswith("test_")
    for node in ast.walk(ast.parse(source, filename=path)):
        for reason in _find_reasons(node, is_test_file):
            found.append(f"{path}:{getattr(node, 'lineno', 0)}: {reason}")
    return found


def find_long_vyper_functions(path: str, source: str) -> list[str]:
    """Reported, not forbidden: in a contract, splitting a function costs gas."""
    found = []
    name, start, last = "", 0, 0
    for number, line in enumerate([*source.splitlines(), "end"], start=1):
        if line and not line[0].isspace() and not line.startswith(")"):
            if name and last - start + 1 > MAX_FUNCTION_LINES:
                found.append(f"{path}:{start}: function {name} has {last - start + 1} lines, better at most {MAX_FUNCTION_LINES}")
            match = _VYPER_DEF.match(line)
            name, start = (match.group(1), number) if match else ("", 0)
        if line.strip():
            last = number
    return found


def _find_reasons(node: ast.AST, is_test_file: bool) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield f"function {node.name} has {lines} lines, at most {MAX_FUNCTION_LINES}"
        if is_test_file and node.name.startswith("test_") and not any(_is_check(inner) for inner in ast.walk(node)):
            yield f"{node.name} checks nothing: it cannot fail"
    elif isinstance(node, ast.ExceptHandler):
        if node.type is None:
            yield "except without a type"
        if all(_is_nothing(statement) for statement in node.body):
            yield "except that only passes: say what is ignored with contextlib.suppress, or handle it"
    elif isinstance(node, ast.Raise) and any(isinstance(inner, ast.Name) and inner.id == _UNWRITTEN for inner in ast.walk(node)):
        yield f"raises {_UNWRITTEN}: a part that is not written"


def _is_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def _is_check(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert | ast.Raise):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    return bool(_CHECKING_CALL.match(name))
