"""Where a leap could land elsewhere than the steps: many bitmap words, two markets, flags that come and go, series that are forgotten."""

import random
from dataclasses import replace

import pytest

from protocol.codes import Code
from protocol.params import DEVNET
from protocol.series import encode_series
from protocol.types import Market, Slice
from sim.baits import EXPIRY, FORWARD, START, USD
from tests.attacks.life import Life

WORDS = replace(DEVNET, account_depth=10, pool_slots=8)
TRADERS = 600
BUSY = (0, 1, 255, 256, 257, 511, 512, 598, 599)  # at the borders of words, and the last one opened
MARKS = 70  # more than the 64 after which the scan's book forgets what nobody holds
NANO = 1_000_000_000


def make_market(underlying: int, time: int, rng: random.Random) -> Market:
    """Two expiries; jumps that flag, and now and then a surface that is hardly one."""
    forward = (FORWARD, FORWARD // 20)[underlying] * rng.choice((100, 100, 103, 97, 140, 60)) // 100
    b = rng.choice((12_000_000, 12_000_000, 12_000_000, NANO))
    return Market(forward, time, tuple(Slice(EXPIRY + days * 86_400, forward, 4_000_000, b, -NANO // 3, 0, NANO // 7) for days in (0, 7)))


@pytest.mark.parametrize("seed", range(3))
def test_leap__many_words_two_markets__same_root_after_every_batch(seed: int) -> None:
    rng = random.Random(seed)
    life = Life((0,) * TRADERS, WORDS)
    scribe = life.scribe
    scribe._messages.clear()
    for trader in range(TRADERS):
        scribe.deposit(trader, rng.choice((3_000, 20_000, 300_000)) * USD)
    series = [
        encode_series(of, EXPIRY + days * 86_400, (FORWARD, FORWARD // 20)[of] * percent // 100 // 10_000 * 10_000, kind)
        for of in range(2)
        for days in (0, 7)
        for percent in (80, 100, 120)
        for kind in range(2)
    ]
    scribe.mark(1, make_market(1, START, rng))
    life.run()
    seen: set[Code] = set()
    flags = 0
    for _ in range(MARKS):
        scribe.clock += 5
        of = rng.randrange(2)
        market = make_market(of, scribe.clock, rng)
        scribe.mark(of, market)
        for _ in range(3):
            seller, buyer = rng.sample(BUSY, 2)
            item = rng.choice(series)
            life.market = life.state.markets[item >> 89]
            life.deal(seller, buyer, item, max(1, life.get_price(item)), rng.choice((1, 10, 60)))
        if rng.random() < 0.3:
            scribe.withdraw(rng.choice(BUSY), rng.choice((1, 10**6)) * USD)
        if rng.random() < 0.2:
            scribe.deposit(rng.choice(BUSY), 5_000 * USD)
        seen.update(life.run())
        flags += sum(account.flag > 0 for account in life.state.accounts.values())
    assert {Code.OK, Code.MARGIN, Code.FLAGGED} <= seen
    assert flags > 0
    assert sum(lots for account in life.state.accounts.values() for _, lots in account.positions) == 0
