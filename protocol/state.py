"""The state: plain structs off-chain, one Merkle root on L1.

`root = H(globals leaf, rest)`; `rest` has four places: markets, bitmap words, accounts, outbox. Hashing is deferred until a root is
asked for.
"""

from enum import IntEnum
from typing import Protocol

from protocol.keccak import ZERO, encode_word, keccak
from protocol.merkle import EMPTY_ROOTS, Tree
from protocol.params import Params
from protocol.types import (
    Account,
    Bitmap,
    Globals,
    Market,
    Order,
    Page,
    Position,
    compute_account_leaf,
    compute_globals_leaf,
    compute_market_leaf,
    compute_order_body,
    compute_outbox_leaf,
    compute_page_body,
    compute_positions_hash,
    compute_slot_leaf,
)


class Place(IntEnum):
    """The two top levels below `rest`."""

    MARKETS = 0
    WORDS = 1
    ACCOUNTS = 2
    OUTBOX = 3


BITMAP_BITS = 2  # of a word's index: which bitmap


class View(Protocol):
    """What a step may read and write. Accounts and slots must exist: a step checks the index first.

    An order slot holds an order or a page of quotes: where it holds the other one, or nothing, `get_order` and `get_page` give an
    empty struct.
    """

    params: Params

    def get_globals(self) -> Globals: ...
    def put_globals(self, value: Globals) -> None: ...
    def get_markets(self) -> tuple[Market, Market]: ...
    def put_markets(self, value: tuple[Market, Market]) -> None: ...
    def get_account(self, index: int) -> Account: ...
    def put_account(self, index: int, value: Account) -> None: ...
    def get_order(self, index: int, slot: int) -> Order: ...
    def put_order(self, index: int, slot: int, value: Order) -> None: ...
    def get_page(self, index: int, slot: int) -> Page: ...
    def put_page(self, index: int, slot: int, value: Page) -> None: ...
    def get_slot_nonce(self, index: int, slot: int) -> int: ...
    def get_word(self, index: int) -> int: ...
    def put_word(self, index: int, value: int) -> None: ...
    def append_outbox(self, index: int, owner: int, amount: int) -> None: ...


EMPTY_ORDER = Order()
EMPTY_PAGE = Page()
EMPTY_ACCOUNT = Account()


def get_word_index(bitmap: Bitmap, account: int, params: Params) -> int:
    """Of the word of a bitmap that has the account's bit, `account % 256`."""
    return bitmap << (params.account_depth - 8) | account >> 8


def put_bit(view: View, bitmap: Bitmap, account: int, is_set: bool) -> None:
    """Reads the account's word of a bitmap, and writes it where that changes it."""
    index = get_word_index(bitmap, account, view.params)
    word = view.get_word(index)
    bit = 1 << (account & 255)
    after = word | bit if is_set else word & ~bit
    if after != word:
        view.put_word(index, after)


def compute_body(entry: Order | Page) -> bytes:
    """Of what stands in an order slot."""
    return compute_page_body(entry) if isinstance(entry, Page) else compute_order_body(entry)


def compute_entry_leaf(entry: Order | Page) -> bytes:
    """Leaf of an order slot."""
    return compute_slot_leaf(entry.nonce, compute_body(entry))


class State:
    """A full state. `copy` is independent; everything inside is immutable structs, so copies are shallow and quick."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.globals = Globals()
        self.markets: tuple[Market, Market] = (Market(), Market())
        self.accounts: dict[int, Account] = {}
        self.orders: dict[int, dict[int, Order | Page]] = {}  # what stands in the order slots, by account and slot
        self.words: dict[int, int] = {}
        self.outbox: list[tuple[int, int]] = []  # (owner, amount)
        self._word_tree = Tree(params.account_depth - 8 + BITMAP_BITS)
        self._account_tree = Tree(params.account_depth)
        self._outbox_tree = Tree(params.outbox_depth)
        self._order_trees: dict[int, Tree] = {}
        self._positions_hashes: dict[int, tuple[tuple[Position, ...], bytes]] = {}
        self._dirty_accounts: set[int] = set()
        self._dirty_orders: set[tuple[int, int]] = set()
        self._markets_root: bytes | None = None
        self._rest: bytes | None = None
        self._root: tuple[Globals, bytes, bytes] | None = None  # the root, and the two things it was made of

    def copy(self) -> "State":
        """An independent state."""
        twin = State(self.params)
        twin.globals = self.globals
        twin.markets = self.markets
        twin.accounts = dict(self.accounts)
        twin.orders = {index: dict(slots) for index, slots in self.orders.items()}
        twin.words = dict(self.words)
        twin.outbox = list(self.outbox)
        twin._word_tree = self._word_tree.copy()
        twin._account_tree = self._account_tree.copy()
        twin._outbox_tree = self._outbox_tree.copy()
        twin._order_trees = {index: tree.copy() for index, tree in self._order_trees.items()}
        twin._positions_hashes = dict(self._positions_hashes)
        twin._dirty_accounts = set(self._dirty_accounts)
        twin._dirty_orders = set(self._dirty_orders)
        twin._markets_root = self._markets_root
        twin._rest = self._rest
        twin._root = self._root
        return twin

    # -- the view

    def get_globals(self) -> Globals:
        return self.globals

    def put_globals(self, value: Globals) -> None:
        self.globals = value

    def get_markets(self) -> tuple[Market, Market]:
        return self.markets

    def put_markets(self, value: tuple[Market, Market]) -> None:
        self._rest = None
        self.markets = value
        self._markets_root = None

    def get_account(self, index: int) -> Account:
        return self.accounts.get(index, EMPTY_ACCOUNT)

    def put_account(self, index: int, value: Account) -> None:
        self._rest = None
        self.accounts[index] = value
        self._dirty_accounts.add(index)

    def get_order(self, index: int, slot: int) -> Order:
        slots = self.orders.get(index)
        found = EMPTY_ORDER if slots is None else slots.get(slot, EMPTY_ORDER)
        return found if isinstance(found, Order) else EMPTY_ORDER

    def get_page(self, index: int, slot: int) -> Page:
        found = self.orders.get(index, {}).get(slot, EMPTY_PAGE)
        return found if isinstance(found, Page) else EMPTY_PAGE

    def get_slot_nonce(self, index: int, slot: int) -> int:
        return self.orders.get(index, {}).get(slot, EMPTY_ORDER).nonce

    def put_order(self, index: int, slot: int, value: Order) -> None:
        self._put_slot(index, slot, value)

    def put_page(self, index: int, slot: int, value: Page) -> None:
        self._put_slot(index, slot, value)

    def _put_slot(self, index: int, slot: int, value: Order | Page) -> None:
        self._rest = None
        slots = self.orders.get(index)
        if slots is None:
            slots = self.orders[index] = {}
            self._order_trees[index] = Tree(self.params.slot_depth)
        slots[slot] = value
        self._dirty_orders.add((index, slot))
        self._dirty_accounts.add(index)

    def get_word(self, index: int) -> int:
        return self.words.get(index, 0)

    def put_word(self, index: int, value: int) -> None:
        self._rest = None
        self.words[index] = value
        self._word_tree.set_leaf(index, encode_word(value))

    def append_outbox(self, index: int, owner: int, amount: int) -> None:
        self._rest = None
        self.outbox.append((owner, amount))
        self._outbox_tree.set_leaf(index, compute_outbox_leaf(index, owner, amount))

    # -- roots and paths

    def get_root(self) -> bytes:
        """The state root; hashes what changed."""
        rest = self.get_rest()
        if self._root is None or self._root[0] is not self.globals or self._root[1] is not rest:
            self._root = self.globals, rest, keccak(compute_globals_leaf(self.globals) + rest)
        return self._root[2]

    def get_rest(self) -> bytes:
        """The root's right child: everything but the globals, which alone change in many steps."""
        if self._rest is None:
            self._flush_accounts()
            left = keccak(self.get_markets_root() + self._word_tree.get_root())
            self._rest = keccak(left + keccak(self._account_tree.get_root() + self._outbox_tree.get_root()))
        return self._rest

    def get_markets_root(self) -> bytes:
        """The node above both markets' leaves."""
        if self._markets_root is None:
            first, second = self.markets
            self._markets_root = keccak(compute_market_leaf(first) + compute_market_leaf(second))
        return self._markets_root

    def get_orders_root(self, index: int) -> bytes:
        """Root of an account's order slots."""
        self._flush_orders()
        tree = self._order_trees.get(index)
        return EMPTY_ROOTS[self.params.slot_depth] if tree is None else tree.get_root()

    def get_positions_hash(self, index: int) -> bytes:
        """Cached by the identity of the tuple: a trade makes a new one, nothing else does."""
        positions = self.get_account(index).positions
        cached = self._positions_hashes.get(index)
        if cached is not None and cached[0] is positions:
            return cached[1]
        digest = compute_positions_hash(positions)
        self._positions_hashes[index] = (positions, digest)
        return digest

    def get_account_leaf(self, index: int) -> bytes:
        """Zero for an account that was never opened."""
        account = self.get_account(index)
        if account.owner == 0:
            return ZERO
        return compute_account_leaf(account, self.get_positions_hash(index), self.get_orders_root(index))

    def prove(self, place: Place, index: int) -> list[bytes]:
        """Siblings of a leaf up to `rest`, bottom first; for the markets, of the node above both leaves."""
        self._flush_accounts()
        markets, words = self.get_markets_root(), self._word_tree.get_root()
        accounts, outbox = self._account_tree.get_root(), self._outbox_tree.get_root()
        left, right = keccak(markets + words), keccak(accounts + outbox)
        match place:
            case Place.MARKETS:
                return [words, right]
            case Place.WORDS:
                return [*self._word_tree.prove(index), markets, right]
            case Place.ACCOUNTS:
                return [*self._account_tree.prove(index), outbox, left]
            case Place.OUTBOX:
                return [*self._outbox_tree.prove(index), accounts, left]

    def prove_order(self, index: int, slot: int) -> list[bytes]:
        """Siblings of an order slot inside its account."""
        self._flush_orders()
        tree = self._order_trees.get(index)
        if tree is None:
            return list(EMPTY_ROOTS[: self.params.slot_depth])
        return tree.prove(slot)

    def prove_withdrawal(self, index: int) -> list[bytes]:
        """What the vault asks for: the outbox path, then the globals' leaf."""
        return [*self.prove(Place.OUTBOX, index), compute_globals_leaf(self.globals)]

    def _flush_orders(self) -> None:
        for index, slot in self._dirty_orders:
            self._order_trees[index].set_leaf(slot, compute_entry_leaf(self.orders[index][slot]))
        self._dirty_orders.clear()

    def _flush_accounts(self) -> None:
        for index in self._dirty_accounts:
            self._account_tree.set_leaf(index, self.get_account_leaf(index))
        self._dirty_accounts.clear()
