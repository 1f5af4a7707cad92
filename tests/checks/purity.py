"""What the source of `protocol/` may not contain: anything by which two honest machines could compute different states.

Works on the syntax tree of one file's text, so the tests can plant violations without touching the tree.
"""

import ast
from collections.abc import Iterator

# Division rounds, and every rounding is named in one place.
DIVIDER = "protocol/fixed_point.py"
# Doubles occur in one place, where every result is exact: docs/decisions/exact-doubles.md.
FLOATER = "protocol/doubles.py"

ALLOWED_MODULES = frozenset(
    {
        "__future__",
        "abc",
        "bisect",
        "coincurve",
        "collections",
        "dataclasses",
        "enum",
        "eth_abi",  # a pure encoder, for the arguments of a step on L1
        "functools",
        "heapq",
        "itertools",
        "math",
        "numpy",
        "operator",
        "protocol",
        "sha3",
        "struct",
        "types",
        "typing",
        "zlib",
    }
)
# Everything else in `math` is floating point.
ALLOWED_FROM_MATH = frozenset({"isqrt", "gcd", "comb", "perm", "factorial"})

# `hash` and `id` differ from process to process; the others read, write or convert to floats.
BANNED_NAMES = frozenset(
    {"float", "complex", "round", "hash", "id", "open", "input", "print", "eval", "exec", "compile", "__import__", "globals", "vars"}
)
DIVIDING_NAMES = frozenset({"divmod", "floordiv", "truediv", "mod"})
DIVIDING_NUMPY = frozenset({"floor_divide", "mod", "remainder", "fmod", "divmod"})
FLOATING_NUMPY = frozenset(
    {
        *("float16", "float32", "float64", "float128", "floating", "double", "single", "half", "complex64", "complex128"),
        *("divide", "true_divide", "mean", "average", "std", "var", "median", "percentile", "quantile"),
        *("sqrt", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "float_power", "hypot", "interp"),
        *("sin", "cos", "tan", "tanh", "round", "rint", "floor", "ceil", "trunc", "linspace", "linalg", "random", "fft"),
        *("datetime64", "load", "save", "fromfile", "memmap", "genfromtxt", "loadtxt"),
    }
)
# Without a dtype these give floats.
DTYPE_POSITION = {"zeros": 1, "empty": 1, "ones": 1, "full": 2}


def find_impurities(path: str, source: str) -> list[str]:
    """Violations in a file of `protocol/`, as `path:line: reason`; `path` is relative to the root, with slashes."""
    divides, floats = path == DIVIDER, path == FLOATER
    found = []
    for node in ast.walk(ast.parse(source, filename=path)):
        found += [f"{path}:{getattr(node, 'lineno', 0)}: {reason}" for reason in _find_reasons(node, divides, floats)]
    return found


def _find_reasons(node: ast.AST, divides: bool, floats: bool) -> Iterator[str]:
    match node:
        case ast.Constant(value=float() | complex()):
            yield f"float constant {node.value!r}"
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            yield from _find_division(operator, divides)
        case ast.Import(names=aliases):
            for alias in aliases:
                yield from _find_import(alias.name)
        case ast.ImportFrom(module=module, names=aliases, level=level):
            yield from _find_import_from(module, [alias.name for alias in aliases], level)
        case ast.Attribute(value=ast.Name(id=base), attr=name):
            yield from _find_attribute(base, name, divides, floats)
        case ast.Name(id=name, ctx=ast.Load()):
            if name in BANNED_NAMES:
                yield f"name {name}"
            if name == "divmod" and not divides:
                yield f"divmod outside {DIVIDER}"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name), args=args, keywords=keywords):
            has_dtype = len(args) > DTYPE_POSITION.get(name, -1) or any(keyword.arg == "dtype" for keyword in keywords)
            if not floats and not has_dtype:
                yield f"numpy.{name} without a dtype gives floats"


def _find_division(operator: ast.operator, divides: bool) -> Iterator[str]:
    if isinstance(operator, ast.Div):
        yield "true division gives a float"
    elif isinstance(operator, ast.FloorDiv | ast.Mod) and not divides:
        yield f"division or remainder outside {DIVIDER}"


def _find_import(name: str) -> Iterator[str]:
    if name.partition(".")[0] not in ALLOWED_MODULES:
        yield f"import of {name}"


def _find_import_from(module: str | None, names: list[str], level: int) -> Iterator[str]:
    if level or module is None:
        yield "relative import"
        return
    yield from _find_import(module)
    allowed = {"math": ALLOWED_FROM_MATH}.get(module)
    if allowed is not None:
        yield from (f"math.{name}" for name in names if name not in allowed)
    if module == "operator":
        yield from (f"operator.{name}" for name in names if name in DIVIDING_NAMES)
    if module.partition(".")[0] == "numpy":
        yield from (f"numpy.{name}" for name in names if name in FLOATING_NUMPY | DIVIDING_NUMPY)


def _find_attribute(base: str, name: str, divides: bool, floats: bool) -> Iterator[str]:
    if base == "math" and name not in ALLOWED_FROM_MATH:
        yield f"math.{name}"
    if base == "operator" and name in DIVIDING_NAMES:
        yield f"operator.{name}"
    if base in {"np", "numpy"}:
        if name in FLOATING_NUMPY and not floats:
            yield f"numpy.{name}"
        if name in DIVIDING_NUMPY and not divides:
            yield f"numpy.{name} outside {DIVIDER}"
