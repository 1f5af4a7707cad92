"""The kernel that remembers gives what the definitions give, over many trades of several legs and over marks."""

import random

import pytest

from protocol.kernel import REFERENCE, SideRisk
from protocol.kernel_fast import FastKernel
from protocol.legs import pack_leg
from protocol.positions import apply_legs
from protocol.types import MAX_LOTS, MAX_RATIO, Account, Market
from tests.steps_b.worlds import make_market, make_positions, make_series

ROUNDS = 120


def make_markets(rng: random.Random, is_wild: bool) -> tuple[Market, Market]:
    return make_market(rng, 0, 3, is_wild), make_market(rng, 1, 3, is_wild)


def make_legs(rng: random.Random, account: Account, markets: tuple[Market, Market]) -> tuple[int, ...]:
    """One to four, some of them held."""
    held = [series for series, _ in account.positions]
    fresh = [make_series(rng, of, rng.choice(markets[of].slices)) for of in (0, 1, 0, 1)]
    chosen = sorted({rng.choice(held) if held and rng.random() < 0.6 else series for series in fresh[: rng.randint(1, 4)]})
    return tuple(pack_leg(series, rng.choice((1, -1, 3, -MAX_RATIO, MAX_RATIO))) for series in chosen)


def settle(risk: SideRisk) -> tuple[object, ...]:
    """What may be compared: out of bounds, margin after means nothing."""
    return (risk.before, risk.after, True, sorted(risk.held)) if risk.is_bounded else (risk.before, False)


@pytest.mark.parametrize("is_wild", [False, True])
def test_any_trades_and_marks__same_as_the_definitions(seed: int, is_wild: bool) -> None:
    rng, fast, bounded = random.Random(seed), FastKernel(), set()
    markets = make_markets(rng, is_wild)
    accounts = [Account(owner=1, cash=rng.randrange(10**12), positions=make_positions(rng, markets, count)) for count in (0, 3, 40)]
    for _ in range(ROUNDS):
        if rng.random() < 0.1:
            moved = [tuple(item._replace(forward=max(1, item.forward - rng.randint(0, 9))) for item in m.slices) for m in markets]
            markets = markets[0]._replace(slices=moved[0]), markets[1]._replace(slices=moved[1])
        index = rng.randrange(len(accounts))
        before = accounts[index]
        legs, units = make_legs(rng, before, markets), rng.choice((1, -1)) * rng.choice((1, 1, 10, MAX_LOTS))
        after = before.settle(before.cash - 5, apply_legs(before.positions, legs, units))
        found = fast.compute_side(index, before, after, legs, markets)
        assert settle(found) == settle(REFERENCE.compute_side(index, before, after, legs, markets))
        cash, positions = before.cash, before.positions
        assert fast.compute_margin(cash, positions, markets) == REFERENCE.compute_margin(cash, positions, markets)
        bounded.add(found.is_bounded)
        if found.is_bounded and rng.random() < 0.8:
            accounts[index] = after
    assert bounded == {True, False}
