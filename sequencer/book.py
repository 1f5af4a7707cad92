"""What rests off-chain: price, then time. Pure; a book for each series and each combination, and one of its own for each request for
quotes, with an index by account.

A level is a dictionary of orders in order of arrival, so that a cancellation does not search. Prices of one side are a sorted list; bids
are kept negated, so that both sides have their best price first.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from sequencer.events import Legs

OrderKey = tuple[int, int, int]  # account, nonce, place
SPARE = 1_024  # times of expiry of orders that left, beside as many as there are orders


@dataclass(slots=True)
class Resting:
    """A signed order with what it has left. `price` a unit in 1e-6 USD; `row` is its ORDER or COMBO as it will be posted when it first
    fills.

    A side of a quote rests here as an order does. Its `place` in its page is then 1 + 2 * quote + side, as a TRADE names it, its nonce the
    page's, and its row and signature are its sheet's.
    """

    account: int
    nonce: int
    owner: int
    legs: Legs
    is_buy: int
    price: int
    lots: int  # as signed
    left: int
    generation: int
    valid_until: int
    flags: int = 0
    row: tuple[int, ...] = ()
    signature: bytes = b""
    created: int = 0
    rfq: int = 0
    place: int = 0

    @property
    def key(self) -> OrderKey:
        """Unique: a nonce is used once."""
        return self.account, self.nonce, self.place


@dataclass(slots=True)
class Side:
    """`ranks` ascend: the price for asks, its negative for bids."""

    ranks: list[int] = field(default_factory=list)
    levels: dict[int, dict[OrderKey, Resting]] = field(default_factory=dict)

    def add(self, rank: int, order: Resting) -> None:
        """Behind all others of its price."""
        level = self.levels.get(rank)
        if level is None:
            level = self.levels[rank] = {}
            insort(self.ranks, rank)
        level[order.key] = order

    def remove(self, rank: int, key: OrderKey) -> None:
        """An empty level goes."""
        level = self.levels[rank]
        del level[key]
        if not level:
            del self.levels[rank]
            del self.ranks[bisect_left(self.ranks, rank)]

    def get_best(self) -> Resting | None:
        """The oldest order of the best price."""
        return next(iter(self.levels[self.ranks[0]].values())) if self.ranks else None

    def list_orders(self) -> Iterator[Resting]:
        """Best first."""
        for rank in self.ranks:
            yield from self.levels[rank].values()


def get_rank(is_buy: int, price: int) -> int:
    """Lower is better, on either side."""
    return -price if is_buy else price


class Book:
    """All that rests."""

    def __init__(self) -> None:
        self.orders: dict[OrderKey, Resting] = {}
        self.by_account: dict[int, dict[int, Resting]] = {}  # account -> nonce -> order; without quotes
        self._sides: dict[tuple[Legs, int, int], Side] = {}  # (legs, is_buy, rfq)
        self._expiries: list[tuple[int, OrderKey]] = []  # a heap; orders that left stay in it for a while; without quotes
        self._quotes = 0

    def add(self, order: Resting) -> None:
        """The key must be new."""
        key = order.key
        assert key not in self.orders, "an order rests once"
        assert order.left > 0, "and with something left"
        self.orders[key] = order
        self._sides.setdefault((order.legs, order.is_buy, order.rfq), Side()).add(get_rank(order.is_buy, order.price), order)
        if order.place:
            self._quotes += 1
            return
        self.by_account.setdefault(order.account, {})[order.nonce] = order
        if len(self._expiries) > 2 * (len(self.orders) - self._quotes) + SPARE:
            # orders come and go free of charge: those that left must not stay until a time that their owner chose
            self._expiries = [(other.valid_until, other.key) for other in self.orders.values() if not other.place]
            heapq.heapify(self._expiries)
        else:
            heapq.heappush(self._expiries, (order.valid_until, key))

    @property
    def held(self) -> int:
        """Things in memory beside the orders: sides, and times of expiry."""
        return len(self._sides) + len(self._expiries)

    def remove(self, key: OrderKey) -> Resting:
        """KeyError if it does not rest."""
        order = self.orders.pop(key)
        if order.place:
            self._quotes -= 1
        else:
            nonces = self.by_account[order.account]
            del nonces[order.nonce]
            if not nonces:
                del self.by_account[order.account]
        name = (order.legs, order.is_buy, order.rfq)
        side = self._sides[name]
        side.remove(get_rank(order.is_buy, order.price), key)
        if not side.ranks:
            del self._sides[name]
        return order

    def get_best(self, legs: Legs, is_buy: int, rfq: int = 0) -> Resting | None:
        """Of one side."""
        side = self._sides.get((legs, is_buy, rfq))
        return None if side is None else side.get_best()

    def list_side(self, legs: Legs, is_buy: int, rfq: int = 0) -> Iterator[Resting]:
        """Best first. Nothing may be added or removed meanwhile."""
        side = self._sides.get((legs, is_buy, rfq))
        return iter(()) if side is None else side.list_orders()

    def fill(self, order: Resting, lots: int) -> None:
        """Takes `lots` off; what is filled leaves."""
        assert 0 < lots <= order.left
        order.left -= lots
        if order.left == 0:
            self.remove(order.key)

    def get_depth(self, legs: Legs, is_buy: int, levels: int) -> list[tuple[int, int]]:
        """(price, lots) of the best levels."""
        side = self._sides.get((legs, is_buy, 0))
        if side is None:
            return []
        sign = -1 if is_buy else 1
        return [(sign * rank, sum(order.left for order in side.levels[rank].values())) for rank in side.ranks[:levels]]

    def pop_expired(self, now: int) -> list[Resting]:
        """Removes orders that are no longer valid at `now`."""
        gone = []
        while self._expiries and self._expiries[0][0] < now:
            valid_until, key = heapq.heappop(self._expiries)
            order = self.orders.get(key)
            if order is not None and order.valid_until == valid_until:
                gone.append(self.remove(key))
        return gone

    def list_legs(self) -> set[Legs]:
        """What has a public order."""
        return {legs for legs, _, rfq in self._sides if not rfq}

    def list_orders(self) -> Iterator[Resting]:
        """Such that adding them to an empty book in this order gives the same priorities."""
        for side in self._sides.values():
            for level in side.levels.values():
                yield from level.values()
