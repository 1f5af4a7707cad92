"""A state on disk: what is written down is what comes back, field by field."""

import pytest

from node.errors import NodeCode, NodeError
from protocol.params import MINIMAL
from protocol.state import State
from protocol.types import MAX_CASH, Account, Globals, Market, Order, Page, Slice, TwoWay
from sequencer.journal import decode, dump_state, encode, load_state

LARGE = 1 << 96


def make_state() -> State:
    """No field of any struct has its default, and no two of one struct are the same."""
    state = State(MINIMAL)
    state.put_globals(Globals(*range(1, len(Globals._fields) + 1))._replace(allowance=-5, pool=-MAX_CASH * 5_000, shares=LARGE))
    market = Market(3, 4, (Slice(5, 6, -7, 8, -9, -10, 11, 12),), 13, 14, 15, 16, 17, 18)
    state.put_markets((market, market._replace(index_price=19, slices=market.slices * 2)))
    state.put_account(3, Account(1 << 159, -2, 3, 4, 5, ((6 << 89, -7), (8 << 89, 9)), 10 << 200, 11, LARGE, -LARGE, 14))
    state.put_account(508, Account(1, 1 << 61))
    state.put_order(3, 1, Order(1, 2, (3 << 120, 4 << 120), 1, -5, 6, 7, 8, 3, 9))
    state.put_page(3, 2, Page(2, 3, 4, 5, 1, 6, 7, 8, (TwoWay(1, 1, 2, 3, 4, 5, 6, 7), TwoWay(2, 0, 3, 4, 5, 6, 7, 8))))
    state.put_word(0, 1 << 255)
    state.append_outbox(0, 1 << 159, 7)
    return state


def test_state__every_field__comes_back() -> None:
    state = make_state()
    loaded = load_state(decode(encode(dump_state(state))), MINIMAL)
    assert loaded.get_root() == state.get_root()
    assert loaded.globals == state.globals
    assert loaded.markets == state.markets
    assert loaded.accounts == state.accounts
    assert loaded.orders == state.orders
    assert [type(entry) for entry in loaded.orders[3].values()] == [Order, Page]
    assert all(isinstance(quote, TwoWay) for quote in loaded.get_page(3, 2).quotes)
    assert all(isinstance(item, Slice) for market in loaded.markets for item in market.slices)
    assert loaded.words == state.words
    assert loaded.outbox == state.outbox


def test_state__other_root_than_written_down__refused() -> None:
    *fields, root = dump_state(make_state())
    with pytest.raises(NodeError) as caught:
        load_state((*fields, bytes(len(root))), MINIMAL)
    assert caught.value.code == NodeCode.STORE_CORRUPT
