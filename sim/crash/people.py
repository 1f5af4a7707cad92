"""Who is in the crash: makers, bidders and pool providers with deep money, and speculators who have sold more than is good for them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.fixed_point import div_down
from protocol.margin import compute_margin, compute_mark
from protocol.series import STRIKE_UNIT, encode_series
from protocol.types import LOTS_PER_UNIT, Market

USD = 1_000_000
MAKERS, BIDDERS, PROVIDERS = 6, 6, 4
SPECIAL = MAKERS + BIDDERS + PROVIDERS
MAKER_CASH, BIDDER_CASH, PROVIDER_CASH = 200_000_000 * USD, 3_000_000 * USD, 2_000_000 * USD
SHARES = (("short put", 55), ("short strangle", 20), ("put spread", 10), ("long put", 10), ("short call", 5))
MANY = 1_000  # lots, so that the least initial margin of an account does not count
MONEYNESS = {"put": (78, 86, 92, 96), "call": (104, 108, 115, 125), "wing": (60, 66, 70)}


@dataclass(frozen=True)
class Deal:
    """A speculator's trade with a maker: signed lots that the speculator gets."""

    trader: int
    maker: int
    series: int
    lots: int


def make_cash(rng: random.Random, traders: int) -> list[int]:
    """By account: the special ones first."""
    cash = [MAKER_CASH] * MAKERS + [BIDDER_CASH] * BIDDERS + [PROVIDER_CASH] * PROVIDERS
    return cash + [round(10 ** rng.uniform(3.3, 5.3)) * USD for _ in range(traders - SPECIAL)]


def make_deals(rng: random.Random, cash: Sequence[int], of: int, market: Market) -> list[Deal]:
    """One idea a speculator, as large as its money carries: half to nearly all of its initial margin."""
    deals: list[Deal] = []
    markets = (market, Market()) if of == 0 else (Market(), market)
    for trader in range(SPECIAL, len(cash)):
        legs = choose_legs(rng, of, market)
        need = compute_margin(0, tuple(sorted((series, side * MANY) for series, side in legs)), markets)
        many = need.initial - min(need.equity, 0)
        for series, side in legs:
            many += max(side, 0) * MANY * div_down(compute_mark(series, market) or 0, LOTS_PER_UNIT)
        lots = int(cash[trader] * rng.uniform(0.4, 0.95)) * MANY // max(many, 1)
        for series, side in sorted(legs, key=lambda leg: -leg[1]):  # what protects is bought first
            if lots:
                deals.append(Deal(trader, rng.randrange(MAKERS), series, side * lots))
    return deals


def choose_legs(rng: random.Random, of: int, market: Market) -> list[tuple[int, int]]:
    """(series, +1 or -1) of one idea."""
    item = rng.choice(market.slices)
    kind = rng.choices([name for name, _ in SHARES], [share for _, share in SHARES])[0]

    def pick(where: str, is_call: int) -> int:
        strike = div_down(item.forward * rng.choice(MONEYNESS[where]), 100 * STRIKE_UNIT * 100) * STRIKE_UNIT * 100
        return encode_series(of, item.expiry, strike, is_call)

    match kind:
        case "short put":
            return [(pick("put", 0), -1)]
        case "short strangle":
            return [(pick("put", 0), -1), (pick("call", 1), -1)]
        case "put spread":
            return [(pick("wing", 0), 1), (pick("put", 0), -1)]
        case "long put":
            return [(pick("put", 0), 1)]
        case _:
            return [(pick("call", 1), -1)]
