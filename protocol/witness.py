"""The witness of a step: what L1 needs to re-run it, recorded by running it.

A step's arguments on L1 are the header, the step's own inputs (`ARGUMENTS`, `get_inputs`), and then, for each kind in its `TOUCHES`, the
struct with its siblings. A step may touch fewer, in that order: what it leaves out is filled with empty values, which its twin does not
look at.
"""

from typing import NamedTuple

from eth_abi.abi import encode

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import EMPTY_ORDER, EMPTY_PAGE, Place, State, compute_body
from protocol.steps import MODULES
from protocol.types import (
    MAX_QUOTES,
    MAX_SLICES,
    Account,
    Globals,
    Header,
    Market,
    Order,
    Page,
    Phase,
    encode_header,
    encode_legs,
    encode_position,
    encode_quote,
)

HEADER_TYPE = (
    "(bytes32,bytes32,uint256,uint256,bytes32,uint256,uint256,uint256,uint256,bytes32,uint256,bytes32,uint256,uint256,uint256,bytes32)"
)
GLOBALS_TYPE = f"(uint256,int256{',uint256' * 7},int256,{','.join(['uint256'] * 8)})"
SLICE_TYPE = "(uint256,uint256,int256,int256,int256,int256,int256,uint256)"
MARKET_TYPE = f"(uint256,uint256,{SLICE_TYPE}[16]{',uint256' * 6})"
ACCOUNT_TYPE = "(uint256,int256,uint256,uint256,uint256,bytes32,uint256,uint256,uint256,int256,uint256,bytes32)"
ORDER_TYPE = "(uint256,uint256,uint256[4],uint256,int256,uint256,uint256,uint256,uint256,uint256)"
PAGE_TYPE = f"({'uint256,' * 8}uint256[16])"
TOUCH_TYPES: dict[str, tuple[str, ...]] = {
    "globals": (GLOBALS_TYPE, "bytes32"),  # globals, rest
    "markets": (f"{MARKET_TYPE}[2]", "bytes32[2]"),
    "account": (ACCOUNT_TYPE, "bytes32[]"),
    "holder": (ACCOUNT_TYPE, "bytes32[]", "uint256[]"),  # an account with its packed positions
    "order": (ORDER_TYPE, PAGE_TYPE, "bytes32[]"),  # what stands in an order slot: one of the two is empty
    "entry": ("uint256", "bytes32", "bytes32[]"),  # an order slot that is written over: its nonce and the hash of the rest
    "word": ("uint256", "bytes32[]"),
    "outbox": ("bytes32[]",),
}


def _encode_order(o: Order) -> tuple[object, ...]:
    return (*o[:2], encode_legs(o.legs), *o[3:])


def _encode_page(p: Page) -> tuple[object, ...]:
    *head, quotes = p
    return (*head, tuple(map(encode_quote, quotes)) + (0,) * (MAX_QUOTES - len(quotes)))


ZERO_WORD = bytes(32)
EMPTY_SLICE = (0,) * 8
EMPTY_MARKET = (0, 0, (EMPTY_SLICE,) * MAX_SLICES, *(0,) * 6)
EMPTY_ACCOUNT = (0, 0, 0, 0, 0, ZERO_WORD, 0, 0, 0, 0, 0, ZERO_WORD)
EMPTY_TOUCHES: dict[str, tuple[object, ...]] = {
    "globals": (tuple(Globals()), ZERO_WORD),
    "markets": ((EMPTY_MARKET, EMPTY_MARKET), (ZERO_WORD, ZERO_WORD)),
    "account": (EMPTY_ACCOUNT, ()),
    "holder": (EMPTY_ACCOUNT, (), ()),
    "order": (_encode_order(EMPTY_ORDER), _encode_page(EMPTY_PAGE), ()),
    "entry": (0, ZERO_WORD, ()),
    "word": (0, ()),
    "outbox": ((),),
}


class Recorder:
    """A view of a state that remembers what a step reads, in order, and keeps back what it writes."""

    def __init__(self, state: State) -> None:
        self.params = state.params
        self.state = state
        self.touches: list[tuple[str, int, int]] = []  # kind, index, slot
        self.globals = state.get_globals()
        self.markets = state.get_markets()
        self.accounts: dict[int, Account] = {}
        self.orders: dict[tuple[int, int], Order | Page] = {}  # read or written
        self.words: dict[int, int] = {}
        self.word_writes: dict[int, int] = {}  # by touch: two accounts of one word are two folds on L1
        self.outbox = (0, 0, 0)

    def _touch(self, kind: str, index: int = 0, slot: int = 0) -> None:
        self.touches.append((kind, index, slot))

    def get_globals(self) -> Globals:
        if ("globals", 0, 0) not in self.touches:
            self._touch("globals")
        return self.globals

    def put_globals(self, value: Globals) -> None:
        self.globals = value

    def get_markets(self) -> tuple[Market, Market]:
        self._touch("markets")
        return self.markets

    def put_markets(self, value: tuple[Market, Market]) -> None:
        self.markets = value

    def get_account(self, index: int) -> Account:
        if index not in self.accounts:
            self._touch("account", index)
            self.accounts[index] = self.state.get_account(index)
        return self.accounts[index]

    def put_account(self, index: int, value: Account) -> None:
        self.accounts[index] = value

    def get_order(self, index: int, slot: int) -> Order:
        found = self._get_entry(index, slot)
        return found if isinstance(found, Order) else EMPTY_ORDER

    def get_page(self, index: int, slot: int) -> Page:
        found = self._get_entry(index, slot)
        return found if isinstance(found, Page) else EMPTY_PAGE

    def _get_entry(self, index: int, slot: int) -> Order | Page:
        if (index, slot) not in self.orders:
            self._touch("order", index, slot)
            self.orders[index, slot] = self.state.orders.get(index, {}).get(slot, EMPTY_ORDER)
        return self.orders[index, slot]

    def get_slot_nonce(self, index: int, slot: int) -> int:
        self._touch("entry", index, slot)
        return self.state.get_slot_nonce(index, slot)

    def put_order(self, index: int, slot: int, value: Order) -> None:
        self.orders[index, slot] = value

    def put_page(self, index: int, slot: int, value: Page) -> None:
        self.orders[index, slot] = value

    def get_word(self, index: int) -> int:
        self._touch("word", index)
        return self.words.get(index, self.state.get_word(index))

    def put_word(self, index: int, value: int) -> None:
        at = max(at for at, touch in enumerate(self.touches) if touch == ("word", index, 0))  # the scan reads more before it writes
        self.words[index] = self.word_writes[at] = value

    def append_outbox(self, index: int, owner: int, amount: int) -> None:
        self._touch("outbox", index)
        self.outbox = (index, owner, amount)

    def prove(self, kinds: tuple[str, ...]) -> list[object]:
        """The touched structs as they were, each with its siblings in the tree that the touches before it leave; then all is written.

        That is how L1 folds: one leaf after the other, each proven against the root that the last fold gave.
        """
        values: list[object] = []
        rest = self.state.get_rest()
        pending: int | None = None
        at = -1
        for kind in kinds:
            if at + 1 == len(self.touches) or self.touches[at + 1][0] != ("account" if kind == "holder" else kind):
                values.extend(EMPTY_TOUCHES[kind])
                continue
            at += 1
            _, index, slot = self.touches[at]
            if kind not in ("order", "entry") and pending is not None:
                self._write_account(pending)
                pending = None
            match kind:
                case "globals":
                    values += (tuple(self.state.get_globals()), rest)
                case "markets":
                    values += (tuple(map(_encode_market, self.state.get_markets())), self.state.prove(Place.MARKETS, 0))
                    self.state.put_markets(self.markets)
                case "order":
                    order, page = self.state.get_order(index, slot), self.state.get_page(index, slot)
                    values += (_encode_order(order), _encode_page(page), self.state.prove_order(index, slot))
                case "entry":
                    entry = self.state.orders.get(index, {}).get(slot)
                    nonce, body = (entry.nonce, compute_body(entry)) if entry is not None else (0, ZERO_WORD)
                    values += (nonce, body, self.state.prove_order(index, slot))
                case "word":
                    values += (self.state.get_word(index), self.state.prove(Place.WORDS, index))
                    self.state.put_word(index, self.word_writes.get(at, self.state.get_word(index)))
                case "outbox":
                    values.append(self.state.prove(Place.OUTBOX, index))
                    self.state.append_outbox(*self.outbox)
                case _:
                    values += self._prove_account(index, kind == "holder")
                    pending = index
        assert at + 1 == len(self.touches), (kinds, self.touches)
        if pending is not None:
            self._write_account(pending)
        self.state.put_globals(self.globals)
        return values

    def _prove_account(self, index: int, is_holder: bool) -> list[object]:
        owner, cash, generation, nonce, flag, positions, *rest = self.state.get_account(index)
        struct = (owner, cash, generation, nonce, flag, self.state.get_positions_hash(index), *rest, self.state.get_orders_root(index))
        values: list[object] = [struct, self.state.prove(Place.ACCOUNTS, index)]
        if is_holder:
            values.append([encode_position(position) for position in positions])
        return values

    def _write_account(self, index: int) -> None:
        account = self.accounts[index]
        if account is not self.state.get_account(index):
            self.state.put_account(index, account)
        for (owner, slot), order in self.orders.items():
            if owner == index and order is not self.state.orders.get(index, {}).get(slot, EMPTY_ORDER):
                if isinstance(order, Page):
                    self.state.put_page(index, slot, order)
                else:
                    self.state.put_order(index, slot, order)


def _encode_market(m: Market) -> tuple[object, ...]:
    index_price, mark_time, slices, *breaker = m
    return (index_price, mark_time, tuple([*map(tuple, slices)] + [EMPTY_SLICE] * (MAX_SLICES - len(slices))), *breaker)


class Witness(NamedTuple):
    """`arguments` is the step's whole ABI-encoded argument list; `after` the header that the step leads to."""

    arguments: bytes
    after: Header
    code: Code


def get_argument_types(phase: Phase) -> list[str]:
    """ABI types of a step's arguments on L1, the header first."""
    module = MODULES[phase]
    return [HEADER_TYPE, *module.ARGUMENTS, *(kind for touch in module.TOUCHES for kind in TOUCH_TYPES[touch])]


def prove_step(h: Header, state: State, pre: Preimages, rules: Rules) -> Witness:
    """Runs the step after `h` and records what L1 needs for it. `state` and `pre` move on, as in the step itself.

    A halted machine steps to itself, and L1 needs nothing but the header to see that.
    """
    if h.is_halted:
        return Witness(encode_header(h), h, Code.OK)
    module = MODULES[Phase(h.phase)]
    inputs = module.get_inputs(h, pre, rules)
    recorder = Recorder(state)
    after, code = module.step(h, recorder, pre, rules)
    touches = recorder.prove(module.TOUCHES)
    arguments = encode(get_argument_types(Phase(h.phase)), [tuple(h), *inputs, *touches])
    return Witness(arguments, after._replace(state=state.get_root()), code)
