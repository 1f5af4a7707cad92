"""The traps of Vyper that audits name are not in the sources: what a contract may call, how, and in which order things are evaluated."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from vyper import ast as vy
from vyper.ast.parse import parse_to_ast

from tests.checks.tree import ROOT

SOURCES = sorted((ROOT / "contracts").rglob("*.vy"))
L1 = [path for path in SOURCES if "l1" in path.parts]
FORBIDDEN = {
    *("selfdestruct", "send", "raw_create", "create_minimal_proxy_to", "create_copy_of", "create_from_blueprint", "create_forwarder_to"),
    *("raw_revert", "print", "uint256_addmod", "uint256_mulmod", "ecadd", "ecmul"),  # the last four: arguments out of order
}
FORBIDDEN_KEYWORDS = {"skip_contract_check", "is_delegate_call", "revert_on_failure", "gas"}
PAYOUTS = {("Claims", "withdraw_stake"), ("Claims", "withdraw_work")}  # whatever they call comes last, under the lock
RAW_CALLS = PAYOUTS | {("Judge", "run"), ("Inbox", "_get_bytes")}
ASKS_OTHERS = {("Vault", "deposit"), ("Vault", "withdraw")}
READ_ONLY = {"view", "pure"}
HEADS = {"If": "test", "For": "iter"}  # the part of a statement with a body that is evaluated with it
SAMPLE = """
# pragma version 0.4.3
@external
def f():
    x: uint256 = {}
@internal
def _write() -> uint256:
    return 1
@internal
@pure
def _pure(a: uint256) -> uint256:
    return a
"""


@cache
def parse(path: Path) -> vy.Module:
    return parse_to_ast(path.read_text())


def list_functions(module: vy.Module) -> list[vy.FunctionDef]:
    return list(module.get_children(vy.FunctionDef))


def get_decorators(function: vy.FunctionDef) -> set[str]:
    return {node.id for node in function.decorator_list if isinstance(node, vy.Name)}


def get_name(call: vy.Call) -> str:
    """Of what is called, without the module that it is in."""
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def list_calls(node: vy.VyperNode) -> list[vy.Call]:
    return list(node.get_descendants(vy.Call, include_self=True))


def list_statements(function: vy.FunctionDef) -> Iterator[vy.VyperNode]:
    """What is evaluated at one time: plain statements, and the heads of those with a body."""
    todo = list(function.body)
    while todo:
        node = todo.pop()
        kind = type(node).__name__
        if kind in HEADS:
            yield getattr(node, HEADS[kind])
            todo += [*node.body, *getattr(node, "orelse", [])]
        else:
            yield node


def is_effect(node: vy.VyperNode, writers: set[str]) -> bool:
    """It may change what is read elsewhere in the same statement."""
    if isinstance(node, vy.Call):
        return get_name(node) in writers | {"raw_call", "pop"}
    return isinstance(node, vy.ExtCall)


def is_read(node: vy.VyperNode) -> bool:
    """What it gives depends on when it is evaluated."""
    if isinstance(node, vy.Attribute) and isinstance(node.value, vy.Name):
        return node.value.id == "self" or (node.value.id, node.attr) == ("msg", "gas")
    return isinstance(node, vy.Call | vy.ExtCall | vy.StaticCall)


def find_races(statement: vy.VyperNode, writers: set[str]) -> list[str]:
    """Effects beside which something is read whose order against them is the compiler's choice."""
    nodes = list(statement.get_descendants(include_self=True))
    races = []
    for effect in (node for node in nodes if is_effect(node, writers)):
        inside = {id(node) for node in effect.get_descendants(include_self=True)}
        above, parent = set(), effect.get_ancestor()
        while parent is not None:
            above.add(id(parent))
            parent = parent.get_ancestor()
        callees = {id(node.func) for node in nodes if isinstance(node, vy.Call) and id(node) in above}
        beside = [node for node in nodes if id(node) not in inside | above | callees and is_read(node)]
        races += [f"{node.lineno}: {node.node_source_code}" for node in beside]
    return races


@cache
def list_writers() -> frozenset[str]:
    """Functions of L1's contracts and parts that may write; by name, so that one name in two modules counts for both."""
    functions = [function for path in L1 for function in list_functions(parse(path))]
    return frozenset(function.name for function in functions if not get_decorators(function) & READ_ONLY)


def test_sources__all_contracts__are_looked_at() -> None:
    """A check of an empty list would always pass."""
    assert {"Claims", "Inbox", "Judge", "Vault", "wages", "mark", "signatures"} <= {path.stem for path in SOURCES}
    assert {"_credit", "_move", "claim"} <= list_writers()
    assert not {"_get_entry", "_is_final"} & list_writers()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source__calls__none_that_is_forbidden(path: Path) -> None:
    for call in list_calls(parse(path)):
        assert get_name(call) not in FORBIDDEN, call.lineno
        assert not {keyword.arg for keyword in call.keywords} & FORBIDDEN_KEYWORDS, call.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source__compiler__is_the_one_that_is_pinned(path: Path) -> None:
    """Far from 0.2.15 to 0.3.0, whose lock did not hold (GHSA-5824-cm3x-3c38)."""
    assert path.read_text().splitlines()[0] in ("# pragma version 0.4.3", "# pragma version ~=0.4.3")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source__division__never_of_decimals(path: Path) -> None:
    module = parse(path)
    assert not list(module.get_descendants(vy.Div))
    assert not [node for node in module.get_descendants(vy.Name) if node.id == "decimal"]


def test_raw_calls__all__are_known_and_a_failure_reverts() -> None:
    """`revert_on_failure` is forbidden above, so that each reverts by default."""
    found = {
        (path.stem, function.name)
        for path in SOURCES
        for function in list_functions(parse(path))
        for call in list_calls(function)
        if get_name(call) == "raw_call"
    }
    assert found == RAW_CALLS


@pytest.mark.parametrize(("name", "function"), sorted(PAYOUTS | ASKS_OTHERS))
def test_foreign_code__called__under_the_lock_and_after_all_writes(name: str, function: str) -> None:
    """No contract of ours is what it calls, so that the lock of each must hold by itself."""
    (path,) = [path for path in L1 if path.stem == name]
    (found,) = [node for node in list_functions(parse(path)) if node.name == function]
    assert "nonreentrant" in get_decorators(found)
    is_foreign = [
        bool([call for call in list_calls(node) if get_name(call) == "raw_call"] or list(node.get_descendants(vy.ExtCall)))
        for node in found.body
    ]
    first = is_foreign.index(True)
    after = found.body[first + 1 :]
    assert not [node for node in after if isinstance(node, vy.Assign | vy.AugAssign)]
    assert not [call for node in after for call in list_calls(node) if get_name(call) in list_writers() - {"send_deposit"}]
    if (name, function) in PAYOUTS:
        assert first == len(found.body) - 1


def test_foreign_code__anywhere_else__is_not_called() -> None:
    calling = {
        (path.stem, function.name)
        for path in SOURCES
        for function in list_functions(parse(path))
        if list(function.get_descendants(vy.ExtCall))
    }
    assert calling == ASKS_OTHERS


def test_steps_and_libraries__all_functions__change_nothing() -> None:
    """So that the order in which a step evaluates its arguments cannot matter."""
    functions = [(path.stem, function) for path in SOURCES if path not in L1 for function in list_functions(parse(path))]
    assert [(stem, item.name) for stem, item in functions if item.name != "__init__" and not get_decorators(item) & READ_ONLY] == []


@pytest.mark.parametrize("path", L1, ids=lambda path: path.stem)
def test_statement__with_an_effect__reads_nothing_beside_it(path: Path) -> None:
    """The order of a call's or an operator's operands is not defined (GHSA-g2xh-c426-v8mf)."""
    for function in list_functions(parse(path)):
        for statement in list_statements(function):
            assert find_races(statement, set(list_writers())) == [], function.name


@pytest.mark.parametrize(
    ("expression", "is_race"),
    [
        ("self._write()", False),
        ("self._write() + 1", False),
        ("self._write() + self.total", True),
        ("self.total - self._write()", True),
        ("self._write() + self._write()", True),
        ("self._write() + self._pure(1)", True),
        ("self._pure(self._write())", False),
        ("max(self._write(), self.total)", True),
        ("msg.gas - self._write()", True),
        ("self.total + self._pure(1)", False),
        ("self.row.pop() + self.total", True),
    ],
)
def test_find_races__planted__found(expression: str, is_race: bool) -> None:
    function = list_functions(parse_to_ast(SAMPLE.format(expression)))[0]
    (statement,) = list_statements(function)
    assert bool(find_races(statement, {"_write"})) == is_race
