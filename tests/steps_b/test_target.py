"""TARGET: a bid makes the flagged account safer, and takes no more than that needs; by both twins."""

from random import Random

import pytest

from protocol.auction import is_restored
from protocol.codes import Code
from protocol.legs import pack_leg
from protocol.machine import Preimages
from protocol.margin import Margin, compute_margin, is_reducing
from protocol.positions import apply_legs
from protocol.types import MAX_CASH, Phase, Trade, compute_trade_hash
from sim.twins import assert_twins
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.worlds import make_header
from tests.steps_b.auctions import BIDDER, CALL, PUT, TARGET, Auction, make_random

RULES = ALL_RULES[0]


def run(auction: Auction, units: int, price: int, *legs: tuple[int, int]) -> Code:
    """The step alone, at any price."""
    margin = auction.get_margin(TARGET)
    packed = tuple(pack_leg(*leg) for leg in legs)
    trade = Trade(TARGET, 0, BIDDER, 0, packed, -units, price, 0, equity=margin.equity, maintenance=margin.maintenance, nonce=1)
    pre = Preimages([])
    pre.trade = trade
    header = make_header(Dice(1), Phase.TARGET, scratch=compute_trade_hash(trade))
    outcome = assert_twins(header, auction.state.copy(), pre, RULES)
    assert outcome.after.phase == (Phase.AWARD if outcome.code == Code.OK else Phase.FETCH)
    return outcome.code


@pytest.mark.parametrize(("price", "code"), [(0, Code.MARGIN), (1, Code.CASH)])
def test_cash_stays_inside_its_bound(price: int, code: Code) -> None:
    auction = Auction(((CALL, 300),))
    auction.put_account(TARGET, auction.get_account(TARGET)._replace(cash=MAX_CASH - 1))
    assert run(auction, 1, price, (CALL, 1)) == code


@pytest.mark.parametrize(("cash", "price", "code"), [(10, -11, Code.CASH), (10, -10, Code.OK), (-10, -1, Code.CASH), (-10, 0, Code.OK)])
def test_cash_is_not_paid_that_is_not_there(cash: int, price: int, code: Code) -> None:
    """It may be below nothing already; then it may not fall."""
    auction = Auction(((PUT, 500), (CALL, -5)))
    auction.put_account(TARGET, auction.get_account(TARGET)._replace(cash=cash))
    assert auction.get_margin(TARGET).equity > 0
    assert run(auction, 1, price, (CALL, -1)) == code


@pytest.mark.parametrize("percent", [5, 90])
def test_price_that_takes_the_accounts_equity_is_refused(percent: int) -> None:
    """Equity per maintenance may not fall, nor by more than a tenth of the maintenance that goes: to the unit of money."""
    auction = Auction(percent=percent)
    before, a = auction.get_margin(TARGET), auction.get_account(TARGET)
    positions = apply_legs(a.positions, (pack_leg(CALL, -1),), -10)

    def is_better(price: int) -> bool:
        after = compute_margin(a.cash + 10 * price, positions, auction.state.markets)
        is_cheap = 10 * (before.equity - after.equity) <= before.maintenance - after.maintenance
        assert is_cheap or percent > 10 or not is_reducing(before, after)
        return is_reducing(before, after) and is_cheap

    low, high = -(10**9), 0
    assert is_better(high)
    assert not is_better(low)
    while high - low > 1:
        middle = (low + high) >> 1
        low, high = (low, middle) if is_better(middle) else (middle, high)
    assert run(auction, 10, high, (CALL, -1)) == Code.OK
    assert run(auction, 10, low, (CALL, -1)) == Code.MARGIN


@pytest.mark.parametrize("percent", [-1, 0])
def test_an_account_worth_nothing_is_the_pools(percent: int) -> None:
    """Without equity no bid at a discount leaves it as well off: the waterfall takes it."""
    auction = Auction(percent=percent)
    assert auction.get_margin(TARGET).equity <= 0
    assert auction.bid((CALL, -1), units=100) == Code.MARGIN


def test_no_more_units_than_restore_the_buffer() -> None:
    """All numbers of units: those up to the first that restores it apply, all others are refused."""
    codes = [Auction(percent=117, age=0).bid((CALL, -1), units=units) for units in range(1, 30)]
    needed = codes.index(Code.BID_SIZE)
    assert 1 < needed < 28
    assert codes == [Code.OK] * needed + [Code.BID_SIZE] * (29 - needed)
    auction = Auction(percent=117, age=0)
    assert auction.bid((CALL, -1), units=needed) == Code.OK
    assert is_restored(auction.get_margin(TARGET))
    auction = Auction(percent=117, age=0)
    assert auction.bid((CALL, -1), units=needed - 1) == Code.OK
    assert not is_restored(auction.get_margin(TARGET))


def test_nothing_is_sold_above_the_buffer() -> None:
    """The flag stays until the next mark; what is left of the account is not for sale till then, not even unit by unit."""
    auction = Auction(percent=117, age=10)
    while (code := auction.bid((CALL, -1), units=1)) == Code.OK:
        assert auction.get_margin(TARGET).cash >= 0
    assert code == Code.BID_SIZE
    margin = auction.get_margin(TARGET)
    assert is_restored(margin)
    assert 100 * margin.maintenance > 97 * Auction(percent=117).get_margin(TARGET).maintenance
    auction = Auction(percent=130, age=0)
    assert [auction.bid((CALL, -1), units=units) for units in (2, 1)] == [Code.BID_SIZE] * 2


def test_a_debt_is_sold_off_however_much_equity_there_is() -> None:
    """Flagged for its negative cash: its longs go until it has none, and no further."""
    auction = Auction(((CALL, 300),), age=0)
    price = auction.get_price((CALL, 1))
    auction.put_account(TARGET, auction.get_account(TARGET)._replace(cash=-20 * price))
    assert auction.bid((CALL, 1), units=21) == Code.BID_SIZE
    assert auction.bid((CALL, 1), units=15) == Code.OK
    assert auction.bid((CALL, 1), units=5) == Code.OK
    assert auction.get_account(TARGET).cash == 0
    assert auction.bid((CALL, 1), units=1) == Code.BID_SIZE


def check_bidder(before: Margin, after: Margin) -> None:
    """The third invariant of machine.md, of the bidder."""
    assert after.cash >= 0 or after.cash >= before.cash
    assert (not after.has_short and after.cash >= 0) or after.equity >= after.initial or is_reducing(before, after)


def test_whatever_is_accepted_is_right(seed: int) -> None:
    """Any account, any bid at its price: the target safer and not poorer for it, nothing created, the bidder within its own margin."""
    rng = Random(f"accepted {seed}")
    found: dict[Code, int] = {}
    for _ in range(150):
        auction, legs, units = make_random(rng)
        money, price = auction.get_money(), auction.get_price(*legs)
        bidder, target = auction.get_account(BIDDER), auction.get_account(TARGET)
        bidder_before, before = auction.get_margin(BIDDER), auction.get_margin(TARGET)
        code = auction.bid(*legs, units=units)
        found[code] = found.get(code, 0) + 1
        assert auction.get_money() == money
        assert auction.count_lots() == {}
        if code != Code.OK:
            assert (auction.get_account(BIDDER), auction.get_account(TARGET)) == (bidder, target)
            continue
        after = auction.get_margin(TARGET)
        assert after.maintenance < before.maintenance
        assert after.equity >= 0
        assert after.equity * before.maintenance >= before.equity * after.maintenance
        assert 10 * (before.equity - after.equity) <= before.maintenance - after.maintenance
        assert auction.get_account(TARGET).cash == target.cash + units * price
        packed = tuple(pack_leg(*leg) for leg in legs)
        less = apply_legs(target.positions, packed, 1 - units)
        margin = compute_margin(target.cash + (units - 1) * price, less, auction.state.markets)
        assert margin.cash < 0 or (margin.has_short and 5 * margin.equity < 6 * margin.maintenance)
        check_bidder(bidder_before, auction.get_margin(BIDDER))
    assert set(found) >= {Code.OK, Code.CASH, Code.MARGIN, Code.BID_SIZE}
    assert found[Code.OK] >= 20
