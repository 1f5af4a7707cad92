"""Takers: seeded, synthetic flow. No recorded file says who crossed the spread, so their orders are invented, and reports say so."""

import math
import random
from collections.abc import Sequence

from sim.actors.trader import Order
from sim.market.source import Book

SLACK = 100  # a taker pays up to a 100th more than the best quote that it saw
VALID_S = 600  # chain seconds
SIZES = (1, 1, 2, 2, 3, 5, 8)  # lots


class Flow:
    """`rate` orders a wall second, each to fill at once or not at all. The same seed and the same calls give the same orders."""

    def __init__(self, seed: int, accounts: Sequence[int], rate: float) -> None:
        self._rng = random.Random(seed)
        self._accounts = tuple(accounts)
        self._rate = rate
        self._due = 0.0

    def draw(self, now: int, wall_s: float, books: Sequence[Book], speed: int = 1) -> list[Order]:
        """Orders of the last `wall_s` seconds, spread at random over books and accounts."""
        self._due += self._rate * wall_s
        count, self._due = math.floor(self._due), self._due % 1
        sides = [(book, is_buy) for book in books for is_buy in (0, 1) if (book.ask if is_buy else book.bid) > 0]
        return [self._draw_one(now, *self._rng.choice(sides), speed) for _ in range(count)] if sides else []

    def _draw_one(self, now: int, book: Book, is_buy: int, speed: int) -> Order:
        price = book.ask + book.ask // SLACK if is_buy else max(book.bid - book.bid // SLACK, 1)
        lots = self._rng.choice(SIZES)
        return Order(self._rng.choice(self._accounts), book.series, is_buy, price, lots, now + VALID_S * speed)
