"""Random markets and portfolios, ordinary and hostile."""

import random

from protocol.series import encode_series
from protocol.types import MAX_SLICES, Market, Position, Slice

NOW = 1_700_000_000
DAY_S = 86_400
NANO = 1_000_000_000
INDEX = (100_000_000_000, 4_000_000_000)
WORD_EDGES = (0, 1, -1, 64 * NANO, -64 * NANO, NANO, 1 << 127, -(1 << 127), (1 << 255) - 1, -(1 << 255))


def make_slice(rng: random.Random, index: int, days: int) -> Slice:
    """Volatility 30 to 120 %, some skew and smile, a forward near the index."""
    years = days / 365
    variance = rng.uniform(0.3, 1.2) ** 2 * years
    b = rng.uniform(0.1, 0.5) * variance
    sigma = rng.uniform(0.1, 0.6)
    rho = rng.uniform(-0.6, 0.6)
    a = variance - b * sigma
    forward = int(index * (1 + rng.uniform(-0.05, 0.05)))
    return Slice(
        NOW + days * DAY_S, forward, int(a * NANO), int(b * NANO), int(rho * NANO), int(rng.uniform(-0.2, 0.2) * NANO), int(sigma * NANO)
    )


def make_markets(rng: random.Random, slices: int = 4) -> tuple[Market, ...]:
    """Both underlyings, marked just now."""
    return tuple(
        Market(index, NOW, tuple(make_slice(rng, index, days) for days in sorted(rng.sample(range(1, 366), slices)))) for index in INDEX
    )


def make_positions(rng: random.Random, markets: tuple[Market, ...], count: int, most: int = 1000) -> tuple[Position, ...]:
    """Strikes between 0.5 and 2 of the forward, at most `most` lots each."""
    found: dict[int, int] = {}
    while len(found) < count:
        underlying = rng.randrange(len(markets))
        item = rng.choice(markets[underlying].slices)
        strike = int(item.forward * rng.uniform(0.5, 2)) // 10_000 * 10_000
        found[encode_series(underlying, item.expiry, strike, rng.randrange(2))] = rng.choice((-1, 1)) * rng.randrange(1, most + 1)
    return tuple(sorted(found.items()))


def make_hostile_slice(rng: random.Random, expiry: int) -> Slice:
    """Any words that ABI can carry."""
    parameters = [rng.choice((*WORD_EDGES, rng.randrange(-NANO, NANO), rng.randrange(-64 * NANO, 64 * NANO))) for _ in range(5)]
    forward = rng.choice((0, 1, 2, 3, 1 << 42, (1 << 42) + 1, (1 << 256) - 1, rng.randrange(1 << 42), 10**11))
    return Slice(expiry, forward, *parameters)


def make_hostile_markets(rng: random.Random) -> tuple[Market, ...]:
    """Expiries may repeat, and slices be missing or nonsense."""
    return tuple(
        Market(
            rng.randrange(1 << 42),
            rng.randrange(1 << 34),
            tuple(make_hostile_slice(rng, rng.randrange(6)) for _ in range(rng.randrange(MAX_SLICES + 1))),
        )
        for _ in range(2)
    )


def make_hostile_series(rng: random.Random) -> int:
    """Underlyings, expiries and strikes that exist nowhere among those that do."""
    strike = rng.choice((0, 1, (1 << 43) - 1, 1 << 43, (1 << 48) - 1, rng.randrange(1 << 43), 10**11))
    return encode_series(rng.choice((0, 0, 1, 1, 2, 255)), rng.randrange(7), strike, rng.randrange(2))
