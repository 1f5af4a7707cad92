"""What margin costs on L1: the snapshot has the dearest starts, whatever the surfaces and positions; an ordinary account costs little."""

import json
import random
from collections.abc import Callable

import pytest

from contracts.build import SIZES
from protocol.params import MAINNET
from protocol.series import STRIKE_UNIT, encode_series
from protocol.types import MAX_ACCOUNT_LOTS, MAX_FORWARD, Market, Mode, Phase, Position, Slice
from sim.twins import assert_twins
from sim.twins.__main__ import get_place
from sim.twins.dice import make_rules
from sim.twins.replay import Start
from sim.twins.worst import EXPIRIES, FORWARD, make_worst_scan, make_worst_signed, make_worst_trade
from tests.steps_b.worlds import NANO, NOW

RULES = make_rules(MAINNET)
WORST = json.loads((SIZES.parent / "gas.json").read_text())
SLACK = 1.01  # what a random start may add to the worst that we build
TYPICAL_GAS, POSITION_GAS = 400_000, 50_000
MAKERS: tuple[tuple[Callable[[], Start], int], ...] = (  # and whose margin it is
    (lambda: make_worst_trade(RULES, Phase.MAKER, 1), 0),
    (lambda: make_worst_scan(RULES, Mode.FLAG), 255),
    (lambda: make_worst_signed(RULES, Phase.WITHDRAW), 255),
    (lambda: make_worst_signed(RULES, Phase.POOL), 255),
)
SHAPES = (  # a, b, rho, m, sigma: total variance from next to nothing to its clamp
    (0, 0, 0, 0, 0),
    (NANO // 100, NANO // 100, NANO // 10, NANO // 10, NANO // 10),
    (NANO // 2, NANO // 3, -NANO // 3, NANO // 7, NANO // 5),
    (4 * NANO, NANO, NANO // 2, -NANO, 2 * NANO),
    (64 * NANO, 64 * NANO, NANO - 1, -64 * NANO, 64 * NANO),
)


def draw_positions(rng: random.Random, forward: int, count: int) -> tuple[Position, ...]:
    """Over all slices of both markets, from a tenth of the forward to ten times it."""
    found: dict[int, int] = {}
    while len(found) < count:
        strike = int(forward * rng.choice((0.101, 0.2, 1, 2.1, 4.2, 9.5)) * rng.uniform(1, 1.04)) // STRIKE_UNIT * STRIKE_UNIT
        series = encode_series(rng.randrange(2), rng.choice(EXPIRIES), min(strike, 2**43 - STRIKE_UNIT), rng.randrange(2))
        found[series] = rng.choice((-1, 1)) * (MAX_ACCOUNT_LOTS // 128 - 1)
    return tuple(sorted(found.items()))


def measure(start: Start, index: int, item: Slice, positions: tuple[Position, ...]) -> int:
    """With other positions, and one shape of all slices."""
    slices = tuple(item._replace(expiry=expiry) for expiry in EXPIRIES)
    start.state.put_markets((Market(item.forward, NOW, slices), Market(item.forward, NOW, slices)))
    start.state.put_account(index, start.state.get_account(index)._replace(positions=positions))
    return assert_twins(*start).gas


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("forward", [FORWARD, 10**9 + 7, MAX_FORWARD])
def test_no_full_account_is_dearer_than_the_worst(seed: int, shape: tuple[int, int, int, int, int], forward: int) -> None:
    rng = random.Random(seed)
    for make, index in MAKERS:
        start = make()
        positions = draw_positions(rng, forward, 124 if index == 0 else 128)  # a trade opens four more
        assert measure(start, index, Slice(0, forward, *shape), positions) <= SLACK * WORST[f"step: {get_place(start)}"]


@pytest.mark.parametrize("count", [1, 8])
def test_typical_account(seed: int, count: int) -> None:
    for make, index in MAKERS:
        positions = draw_positions(random.Random(seed), FORWARD, count)
        legs = 4 if index == 0 else 0
        gas = measure(make(), index, Slice(0, FORWARD, *SHAPES[2]), positions)
        assert gas <= TYPICAL_GAS + POSITION_GAS * (count + legs)
