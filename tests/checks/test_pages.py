"""The pages say what the code does, as far as that can be read off both: operations, codes, links, paths."""

import dis
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account

from protocol import steps
from protocol.codes import Code
from protocol.operations import MAX_FEE_CAP, Kind
from protocol.signing import compute_domain, compute_order_digest
from protocol.steps import MODULES
from tests.checks.tree import ROOT, read_texts

FOLDER = ROOT / "docs/protocol"
# Which steps a page is about; those of the machine itself are on its own page.
STEPS = {
    **{kind.name.lower(): (kind.name.lower(),) for kind in Kind},
    "trade": ("terms", "margin", "commit"),
    "bid": ("bid", "margin", "target", "award"),
    "scan": ("scan", "takeover", "deleverage"),
    "machine": ("open", "message", "inflate", "fetch"),
}
NEVER = {("bid", "REDUCE_ONLY"), ("bid", "AUTHORITY")}  # a bid has no flags
TEXTS = dict(read_texts())
PAGES = {path: text for path, text in TEXTS.items() if path.endswith(".md")}
ROOMS = "docs|protocol|contracts|sim|sequencer|challenger|node|l1|straddle|bench|tests"


def list_code_objects(code: CodeType) -> Iterator[CodeType]:
    """With those of its lambdas and generators."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from list_code_objects(inner)


@cache
def list_codes(function: FunctionType) -> frozenset[str]:
    """Every `Code.NAME` in the function and in what it calls of the protocol by name."""
    found: set[str] = set()
    todo, seen = [function], {function}
    while todo:
        at = todo.pop()
        for code in list_code_objects(at.__code__):
            for first, second in pairwise(dis.get_instructions(code)):
                if first.opname == "LOAD_GLOBAL" and first.argval == "Code" and second.opname == "LOAD_ATTR":
                    found.add(second.argval)
            for name in code.co_names:
                called = at.__globals__.get(name)
                if isinstance(called, FunctionType) and called.__module__.startswith("protocol.") and called not in seen:
                    seen.add(called)
                    todo.append(called)
    return frozenset(found - {"OK"})


def list_step_codes(name: str) -> frozenset[str]:
    return frozenset().union(*(list_codes(module.step) for module in MODULES.values() if module.__name__ == f"{steps.__name__}.{name}"))


def list_cells(text: str) -> set[str]:
    """Codes in the last column of tables."""
    cells = [line.rsplit("|", 2)[-2] for line in text.splitlines() if line.startswith("|")]
    return {word for cell in cells for word in re.findall(r"[A-Z_]+", cell)} & set(Code.__members__)


def list_named(text: str) -> set[str]:
    """Codes in tables or between backticks."""
    return list_cells(text) | set(re.findall(r"`([A-Z_]+)`", text))


def test_codes_are_found_through_what_a_step_calls() -> None:
    """By the step itself, by a function beside it, by one in another module."""
    assert {"ACCOUNT", "SIGNATURE", "LOTS", "NONCE"} <= list_step_codes("order")
    assert list_step_codes("takeover") == frozenset()
    assert {module.__name__.rsplit(".", 1)[-1] for module in MODULES.values()} == {name for names in STEPS.values() for name in names}


@pytest.mark.parametrize("page", sorted(STEPS))
def test_a_page_names_the_codes_of_its_steps(page: str) -> None:
    """All that they can return; and in its tables none that they cannot, but those of FETCH."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    codes = {code for name in STEPS[page] for code in list_step_codes(name) if (page, code) not in NEVER}
    assert codes - list_named(text) == set()
    if page != "machine":
        assert list_cells(text) - codes - list_step_codes("fetch") - set(Kind.__members__) == set()


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_a_page_has_its_kind_in_the_row(kind: Kind) -> None:
    text = (FOLDER / f"{kind.name.lower()}.md").read_text(encoding="utf-8")
    assert re.findall(r"\*\*Row\*\*: `\[(\d+)[,\]]", text) == [str(kind.value)]


def test_what_is_signed_is_the_same_on_every_page() -> None:
    """As it stands on the machine's page, which is held against the digests."""
    types = {path.stem: re.findall(r"`([A-Z]\w+\(\w+ [^`]+\))`", path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.md")}
    machine = (FOLDER / "machine.md").read_text(encoding="utf-8")
    assert {"order", "combo", "sheet", "bid", "mark", "settle"} <= {page for page, found in types.items() if found}
    assert [(page, each) for page, found in types.items() for each in found if each not in machine] == []


def test_the_machine_has_an_index_of_the_pages() -> None:
    """A line each."""
    lines = re.findall(r"^\| \[\w+\]\((\w+)\.md\) \| .+ \|$", (FOLDER / "machine.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted([*lines, "machine"]) == sorted(path.stem for path in FOLDER.glob("*.md"))


def test_every_link_between_pages_leads_somewhere() -> None:
    links = [(path, link) for path, text in PAGES.items() for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
    assert links
    assert [item for item in links if not (ROOT / Path(item[0]).parent / item[1]).exists()] == []


def test_every_page_that_is_named_exists() -> None:
    """In pages and in sources; not those that a test of the checks makes up."""
    texts = {path: text for path, text in TEXTS.items() if path != "tests/checks/test_legibility.py"}
    named = [(path, page) for path, text in texts.items() for page in re.findall(r"\bdocs/[\w/-]+\.md\b", text)]
    assert named
    assert [item for item in named if not (ROOT / item[1]).exists()] == []


def test_every_file_that_is_named_exists() -> None:
    """Paths between backticks on pages, and the twins of which the modules speak."""
    named = [(path, name) for path, text in PAGES.items() for name in re.findall(rf"`((?:{ROOMS})/[\w./-]+\.\w+)`", text)]
    named += [(path, name) for path, text in TEXTS.items() for name in re.findall(r"\b[Tt]win(?: of)?:? ([\w/]+\.(?:vy|py))\b", text)]
    assert named
    assert [item for item in named if "NAME" not in item[1] and not (ROOT / item[1]).exists()] == []


def test_api__its_example_signs_an_order_as_the_rules_read_it() -> None:
    page, secret, vault = PAGES["docs/api.md"], b"\x07" * 32, 0xABC
    room: dict[str, Any] = {"Account": Account}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], room)  # type: ignore[index]  # noqa: S102 - the page is ours
    names = "account underlying expiry strike isCall isBuy price lots postOnly reduceOnly fillOrKill feeCap nonce generation validUntil"
    terms = (1, 0, 1_774_598_400, 10**11, 1, 1, 12_345_000, 10, 1, 0, 0, MAX_FEE_CAP, 9, 2, 1_774_000_000)
    status = {"chain_id": 31_337, "vault": f"0x{vault:040x}"}
    signature = bytes.fromhex(room["sign_order"](secret, status, dict(zip(names.split(), terms, strict=True))))
    digest = compute_order_digest(compute_domain(31_337, vault), terms)
    signed = PrivateKey(secret).sign_recoverable(digest, hasher=None)
    assert signature == signed[:64] + bytes((27 + signed[64],))
    assert f"{MAX_FEE_CAP:,}" in page
