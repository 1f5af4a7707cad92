"""TERMS: every check of a trade but margin, both twins."""

import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from protocol.codes import Code
from protocol.kernel import get_quote
from protocol.legs import pack_plain
from protocol.machine import Preimages
from protocol.margin import compute_mark
from protocol.operations import MAX_FEE_CAP, build_trade
from protocol.series import decode_series, encode_series
from protocol.state import State
from protocol.steps.terms import compute_fee
from protocol.types import MAX_LOTS, Account, Globals, Market, Order, Phase, Trade, compute_trade_hash
from tests.steps_b.worlds import ADDRESSES, DAY_S, NOW, World, make_globals, make_market, make_positions, make_rules, make_series

RULES = make_rules()
CLOCK = NOW + 5
HUGE = (1 << 256) - 1


@dataclass(frozen=True)
class Case:
    """One TRADE with what it meets; the maker sells 10 at its limit, the taker buys up to 20."""

    markets: tuple[Market, Market]
    items: tuple[int, ...]
    maker: Account
    m: Order
    taker: Account
    t: Order
    state_globals: Globals = make_globals(accounts=400)  # noqa: RUF009 - a frozen tuple
    maker_at: tuple[int, int] = (3, 1)
    taker_at: tuple[int, int] = (300, 2)

    def make_world(self) -> World:
        """Other accounts and orders are empty."""
        state = State(RULES.params)
        state.put_globals(self.state_globals)
        state.put_markets(self.markets)
        world = World(RULES, state, Preimages([]))
        for index in range(4):
            world.put_account(index, Account(owner=ADDRESSES[7]))
        world.put_account(self.maker_at[0], self.maker)
        world.put_account(self.taker_at[0], self.taker)
        state.put_order(*self.maker_at, self.m)
        state.put_order(*self.taker_at, self.t)
        world.pre.items = self.items
        return world


def run(case: Case) -> Code:
    """The code of both."""
    outcome, _ = case.make_world().run(Phase.TERMS)
    return outcome.code


def make_case(seed: int, age_s: int = 0) -> Case:
    """A trade that passes."""
    rng = random.Random(seed)
    markets = make_market(rng, 0, 3, age_s=age_s), make_market(rng, 1, 3)
    item = markets[0].slices[1]
    series = encode_series(0, item.expiry, item.forward // 10_000 * 10_000, 1)
    mark = compute_mark(series, markets[0])
    assert mark is not None
    price = mark // 100
    m = Order(5, 2, pack_plain(series), 0, price, 10, CLOCK + 100, 3)
    t = Order(6, 4, pack_plain(series), 1, price + 9, 20, CLOCK + 100, fee_cap=MAX_FEE_CAP)
    maker = Account(owner=ADDRESSES[0], cash=10**9, generation=2, positions=make_positions(rng, markets, 3))
    taker = Account(owner=ADDRESSES[1], cash=10**9, generation=4)
    return Case(markets, build_trade(3, 1, 300, 2, 7), maker, m, taker, t)


def change_order(case: Case, side: str, **fields: object) -> Case:
    return replace(case, **{side: getattr(case, side)._replace(**fields)})


def test_a_trade_passes_with_its_terms_in_the_scratch(seed: int) -> None:
    case = make_case(seed)
    outcome, _ = case.make_world().run(Phase.TERMS)
    assert outcome.code == Code.OK
    assert outcome.after.phase == Phase.MAKER
    quote = get_quote(case.m.legs[0] >> 32, case.markets)
    assert quote is not None
    fee = compute_fee(case.m.legs, [quote], case.m.price, 7, RULES.params.fees)
    trade = Trade(3, 1, 300, 2, case.m.legs, -7, case.m.price, fee)
    assert outcome.after.scratch == compute_trade_hash(trade)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (1, 400, Code.ACCOUNT),
        (1, HUGE, Code.ACCOUNT),
        (3, 400, Code.ACCOUNT),
        (3, HUGE, Code.ACCOUNT),
        (3, 3, Code.SELF_TRADE),
        (2, 4, Code.ORDER),  # a quote of the page in slot 0, which is empty
        (2, 5, Code.ORDER),  # a quote of a page, where an order stands
        (2, 1 | 33 << 2, Code.ORDER),
        (2, HUGE, Code.ORDER),
        (4, 4, Code.ORDER),
        (4, 1 << 255, Code.ORDER),
        (2, 0, Code.ORDER),
        (4, 0, Code.ORDER),
        (5, 0, Code.LOTS),
        (5, 7, Code.OK),
        (5, 8, Code.OVERFILL),
        (5, HUGE, Code.OVERFILL),
    ],
)
def test_items(seed: int, place: int, value: int, expected: Code) -> None:
    case = make_case(seed)
    items = list(case.items)
    items[place] = value
    assert run(replace(case, items=tuple(items))) == expected


@pytest.mark.parametrize("side", ["m", "t"])
def test_orders(seed: int, side: str) -> None:
    case = make_case(seed)
    assert run(change_order(case, side, generation=3)) == Code.GENERATION
    assert run(change_order(case, side, valid_until=CLOCK)) == Code.OK
    assert run(change_order(case, side, valid_until=CLOCK - 1)) == Code.EXPIRED
    assert run(change_order(case, side, legs=(case.m.legs[0] ^ 1 << 32,))) == Code.SERIES
    assert run(change_order(case, side, is_buy=1 if side == "m" else 0)) == Code.SIDE
    order = getattr(case, side)
    assert run(change_order(case, side, filled=order.lots - 7)) == Code.OK
    assert run(change_order(case, side, filled=order.lots - 6)) == Code.OVERFILL
    assert run(replace(case, m=Order()) if side == "m" else replace(case, t=Order())) == Code.ORDER


def test_limits(seed: int) -> None:
    case = make_case(seed)
    assert run(change_order(case, "t", price=case.m.price)) == Code.OK
    assert run(change_order(case, "t", price=case.m.price - 1)) == Code.LIMIT
    swapped = change_order(change_order(case, "m", is_buy=1), "t", is_buy=0, price=case.m.price)
    assert run(swapped) == Code.OK
    assert run(change_order(swapped, "t", price=case.m.price + 1)) == Code.LIMIT


def test_one_owner(seed: int) -> None:
    case = make_case(seed)
    assert run(replace(case, taker=case.taker._replace(owner=case.maker.owner))) == Code.SELF_TRADE


def test_series_must_be_listed_and_alive(seed: int) -> None:
    case = make_case(seed)
    unlisted = pack_plain((case.m.legs[0] >> 32) + (1 << 49))
    assert run(change_order(change_order(case, "m", legs=unlisted), "t", legs=unlisted)) == Code.SERIES
    assert run(replace(case, markets=(Market(), case.markets[1]))) == Code.SERIES
    expiry = decode_series(case.m.legs[0] >> 32).expiry
    for clock, expected in ((expiry - 1, Code.OK), (expiry, Code.SERIES), (expiry + DAY_S, Code.SERIES)):
        late = replace(case, state_globals=case.state_globals._replace(clock=clock))
        late = change_order(change_order(late, "m", valid_until=clock), "t", valid_until=clock)
        assert run(late) == expected


def test_band_to_the_unit(seed: int) -> None:
    case = make_case(seed)
    mark = compute_mark(case.m.legs[0] >> 32, case.markets[0])
    assert mark is not None
    forward = case.markets[0].slices[1].forward
    width = (50 * mark + 5 * forward) // 1_000
    for sign in (1, -1):
        edge = (mark + sign * width) // 100 + (0 if sign == 1 else 1)
        assert run(change_order(change_order(case, "m", price=edge), "t", price=edge)) == Code.OK
        assert run(change_order(change_order(case, "m", price=edge + sign), "t", price=edge + sign)) == Code.BAND


@pytest.mark.parametrize(("price", "fee"), [(100, 50_000), (1_000_001, 875_001), (1_000_000, 875_000), (2_000_000, None)])
def test_fee(seed: int, price: int, fee: int | None) -> None:
    """Of 7 lots of a cheap call: at least 0.05 USD, then an eighth of the premium, then three basis points of the forward; rounded up."""
    case = make_case(seed)
    item = case.markets[0].slices[1]
    forward = 60_000_000_333
    market = case.markets[0]._replace(
        slices=(*case.markets[0].slices[:1], item._replace(forward=forward, a=10**7, b=0), *case.markets[0].slices[2:])
    )
    legs = pack_plain(encode_series(0, item.expiry, 400_000_000_000, 1))
    case = replace(case, markets=(market, case.markets[1]))
    case = change_order(change_order(case, "m", legs=legs, price=price), "t", legs=legs, price=price)
    outcome, _ = case.make_world().run(Phase.TERMS)
    assert outcome.code == Code.OK
    expected = -(-forward * 7 * 3 // 1_000_000) if fee is None else fee
    assert outcome.after.scratch == compute_trade_hash(Trade(3, 1, 300, 2, legs, -7, price, expected))


def test_old_marks_do_not_matter_here(seed: int) -> None:
    assert run(make_case(seed, age_s=1000)) == Code.OK


@pytest.mark.parametrize("is_wild", [False, True])
def test_twins_agree_on_random_trades(seed: int, is_wild: bool) -> None:
    rng = random.Random(seed)
    codes: Counter[Code] = Counter()
    for _ in range(150):
        case = make_case(rng.randrange(1 << 30))
        expired = rng.choice((0, 1))
        markets = tuple(make_market(rng, underlying, 4, is_wild, expired=expired) for underlying in range(2))
        underlying = rng.randrange(2)
        series = make_series(rng, underlying, rng.choice(markets[underlying].slices))
        mark = compute_mark(series, markets[underlying]) or 0
        price = min(max(mark // 100 + rng.choice((0, 0, 10**6, -(10**6))), 1), (1 << 37) - 1)
        is_buy = rng.randrange(2)
        lots = rng.choice((1, 100, MAX_LOTS))
        m = Order(1, 2, pack_plain(series), is_buy, price, lots, CLOCK, rng.choice((0, lots >> 1)))
        limit = max(price + rng.choice((0, 0, 0, 1, -1)), 1)
        t = Order(9, 4, pack_plain(series), 1 - is_buy, limit, lots, CLOCK, fee_cap=MAX_FEE_CAP)
        items = build_trade(3, 1, 300, 2, rng.choice((1, lots)))
        codes[run(replace(case, markets=(markets[0], markets[1]), m=m, t=t, items=items))] += 1
    assert {Code.OK, Code.BAND, Code.LIMIT, Code.OVERFILL, Code.SERIES} <= set(codes)
