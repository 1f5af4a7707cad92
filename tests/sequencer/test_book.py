"""The book against a list that is searched: priorities, depth, expiry."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sequencer.book import Book, Resting

LEGS = ((7,), (8, 9))


def build(account: int, nonce: int, legs: tuple[int, ...], is_buy: int, price: int, lots: int, until: int) -> Resting:
    return Resting(account, nonce, account, legs, is_buy, price, lots, lots, 0, until)


orders = st.tuples(st.integers(0, 3), st.sampled_from(LEGS), st.integers(0, 1), st.integers(-3, 6), st.integers(1, 9), st.integers(0, 50))
moves = st.lists(
    st.one_of(
        st.tuples(st.just("add"), orders),
        st.tuples(st.just("remove"), st.integers(0, 30)),
        st.tuples(st.just("fill"), st.sampled_from(LEGS), st.integers(0, 1), st.integers(1, 9)),
        st.tuples(st.just("expire"), st.integers(0, 60)),
    ),
    max_size=60,
)


def find_best(model: list[Resting], legs: tuple[int, ...], is_buy: int) -> Resting | None:
    side = [order for order in model if (order.legs, order.is_buy) == (legs, is_buy)]
    return min(side, key=lambda order: (-order.price if is_buy else order.price, model.index(order)), default=None)


@given(moves)
def test_best_is_the_oldest_at_the_best_price(steps: list[tuple[Any, ...]]) -> None:
    book, nonce = Book(), 0
    model: list[Resting] = []
    for kind, *arguments in steps:
        if kind == "add":
            nonce += 1
            (fields,) = arguments
            account, legs, is_buy, price, lots, until = fields
            model.append(build(account, nonce, legs, is_buy, price, lots, until))
            book.add(model[-1])
        elif kind == "remove" and model:
            order = model.pop(int(arguments[0]) % len(model))
            assert book.remove(order.key) is order
        elif kind == "fill":
            legs, is_buy, lots = arguments
            best = book.get_best(legs, is_buy)
            if best is not None:
                book.fill(best, min(lots, best.left))
                if best.left == 0:
                    model.remove(best)
        elif kind == "expire":
            now = int(arguments[0])
            gone = book.pop_expired(now)
            assert {order.key for order in gone} == {order.key for order in model if order.valid_until < now}
            model = [order for order in model if order.valid_until >= now]
        for legs in LEGS:
            for is_buy in (0, 1):
                assert book.get_best(legs, is_buy) is find_best(model, legs, is_buy)
    assert set(book.orders) == {order.key for order in model}
    assert {account: set(own) for account, own in book.by_account.items()} == {
        account: {order.nonce for order in model if order.account == account} for account in {order.account for order in model}
    }
    again = Book()
    for order in book.list_orders():
        again.add(order)
    for legs in LEGS:
        for is_buy in (0, 1):
            assert again.get_best(legs, is_buy) is book.get_best(legs, is_buy)
            depth = book.get_depth(legs, is_buy, 10)
            assert sum(lots for _, lots in depth) == sum(o.left for o in model if (o.legs, o.is_buy) == (legs, is_buy))
            assert depth == sorted(depth, reverse=bool(is_buy))
