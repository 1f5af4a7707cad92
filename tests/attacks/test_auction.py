"""The numbered attacks on the auction of a flagged account (../shared/notes/exchange-attacks.md: 1, 8, 15)."""

import pytest

from protocol.auction import AUCTION_MARKS
from protocol.codes import Code
from protocol.legs import Leg
from protocol.margin import compute_margin
from protocol.types import MAX_POSITIONS, Account, Position
from tests.steps_b.auctions import ALL_SERIES, BIDDER, CALL, FRIEND, OTHER, PUT, RICH, START, TARGET, USD, Auction, make_series

LEG = (CALL, -1)
CENT = 2 * 10_000  # of a strike, in a series


def make_many(count: int, lots: int, first: int = PUT) -> tuple[Position, ...]:
    """Series whose strikes are a cent apart."""
    return tuple((first + CENT * step, lots) for step in range(count))


def sell_all(auction: Auction, leg: Leg, units: int) -> list[Code]:
    """Bids of so many units until one is refused."""
    codes: list[Code] = []
    while not codes or codes[-1] == Code.OK:
        codes.append(auction.bid(leg, units=units))
    return codes


@pytest.mark.parametrize(("units", "code"), [(1, Code.MARGIN), (10, Code.MARGIN), (300, Code.CASH)])
def test_attack_01__equity_given_to_a_friend_through_the_auction__refused(units: int, code: Code) -> None:
    """Almost bankrupt, with the largest discount: its own second key may not take what is left, unit by unit or at once."""
    assert Auction(percent=1, age=AUCTION_MARKS).bid(LEG, units=units) == code


@pytest.mark.parametrize("percent", [20, 60, 95])
def test_attack_01__a_friend_who_bids_at_every_mark__leaves_as_much_equity_for_the_risk_as_there_was(percent: int) -> None:
    auction = Auction(percent=percent, age=0)
    friend = auction.get_margin(BIDDER).equity
    before = auction.get_margin(TARGET)
    for _ in range(2 * AUCTION_MARKS):
        auction.count_marks(1)
        auction.bid(LEG, units=5)
    after = auction.get_margin(TARGET)
    assert after.equity * before.maintenance >= before.equity * after.maintenance
    assert auction.get_margin(BIDDER).equity + after.equity <= friend + before.equity, "what one loses the other gains, and no more"


def test_attack_08__a_bid_that_is_held_back__finds_the_same_price_or_dies() -> None:
    """Time lowers nothing: only marks do, which cannot be left out, and a bid that was signed lives as long as its signer said."""
    auction = Auction(age=3)
    price = auction.get_price(LEG)
    auction.tick(50)
    assert auction.get_price(LEG) == price
    auction.count_marks(1)
    assert auction.get_price(LEG) < price
    auction.scribe.bid(BIDDER, TARGET, (LEG,), 5, price)
    auction.tick(11)
    assert auction.run() == [Code.STALE], "nor is a mark's price for ever"
    auction.scribe.bid(BIDDER, TARGET, (LEG,), 5, price)
    auction.tick(61)
    assert auction.run() == [Code.EXPIRED]


def test_attack_08__waiting_for_the_bottom__costs_the_account_at_most_a_tenth_of_the_margin_of_what_is_sold() -> None:
    prices = [Auction(age=age).get_price(LEG) for age in range(AUCTION_MARKS + 30)]
    assert prices == sorted(prices, reverse=True)
    assert len(set(prices[: AUCTION_MARKS + 1])) == AUCTION_MARKS + 1
    assert set(prices[AUCTION_MARKS:]) == {prices[AUCTION_MARKS]}, "the pool takes over at that age"
    auction = Auction(age=AUCTION_MARKS)
    maintenance = compute_margin(0, (LEG,), auction.state.markets).maintenance
    equity = auction.get_margin(TARGET).equity
    assert auction.bid(LEG, units=20) == Code.OK
    assert 0 < equity - auction.get_margin(TARGET).equity <= 20 * (maintenance // 10)


def test_attack_08__lot_by_lot_after_the_account_is_restored__refused() -> None:
    """The flag stays until the next mark: without a stop, single lots would empty the account at the auction's discount."""
    auction = Auction(percent=99, age=AUCTION_MARKS - 1)
    before = auction.get_margin(TARGET)
    assert sell_all(auction, LEG, 1)[-1] == Code.BID_SIZE
    after = auction.get_margin(TARGET)
    assert 5 * after.equity >= 6 * after.maintenance
    assert 50 * (before.equity - after.equity) < before.maintenance


@pytest.mark.parametrize("age", [10, AUCTION_MARKS - 1])
def test_attack_08__one_leg_of_a_hedge_at_the_discount_of_a_naked_one__costs_no_more_than_the_takeover(age: int) -> None:
    """A calendar spread needs a tenth of what its legs need alone: bid on leg by leg, it lost half of its equity."""
    near, far = (make_series(0, month, 110, 1) for month in (0, 1))
    auction = Auction(((near, -300), (far, 300)), percent=99, age=age)
    before = auction.get_margin(TARGET)
    codes = [auction.bid(leg, units=units) for leg in ((far, 1), (near, -1)) for units in (1, 10)]
    assert Code.MARGIN in codes
    while auction.bid((near, -1), (far, 1), units=5) == Code.OK:
        auction.state.put_globals(auction.state.globals._replace(allowance=1_000))
    after = auction.get_margin(TARGET)
    assert after.maintenance < before.maintenance
    assert 10 * (before.equity - after.equity) <= before.maintenance - after.maintenance


@pytest.mark.parametrize(("own", "code"), [(MAX_POSITIONS - 4, Code.OK), (MAX_POSITIONS - 3, Code.POSITIONS)])
def test_attack_08__128_positions__are_auctioned_four_at_a_time(own: int, code: Code) -> None:
    """To a bidder with room for four; and none of them is so many that the sale cannot be proven."""
    target, first = make_many(MAX_POSITIONS, -10), PUT + CENT * 1_000
    auction = Auction(target, bidder=Account(cash=RICH, positions=make_many(own, 1, first)))
    assert auction.bid(*[(series, -1) for series, _ in target[:4]], units=10) == code
    assert len(auction.get_account(TARGET).positions) == MAX_POSITIONS - 4 * (code == Code.OK)


def test_drv_02__dust_in_the_bidders_account__does_not_block_it() -> None:
    """Whoever sends it money, or bids for a lot before it, only makes the work smaller: its next bid applies."""
    auction = Auction(percent=117, age=0)
    needed = next(n for n in range(1, 100) if Auction(percent=117, age=0).bid(LEG, units=n + 1) == Code.BID_SIZE)
    auction.scribe.deposit(BIDDER, 1)
    auction.scribe.bid(OTHER, TARGET, (LEG,), 1, RICH)
    auction.scribe.bid(BIDDER, TARGET, (LEG,), needed, RICH)
    auction.scribe.bid(BIDDER, TARGET, (LEG,), needed - 1, RICH)
    assert auction.run() == [Code.OK, Code.OK, Code.BID_SIZE, Code.OK]
    assert auction.get_account(BIDDER).positions == ((CALL, 1 - needed),)


def test_drv_02__dust_bids_of_a_friend__each_of_them_is_progress() -> None:
    """It needs margin for what it takes, at a price that it chose; the account is safer for every lot."""
    auction = Auction(percent=110, age=0)
    seen = [auction.get_margin(TARGET).maintenance]
    while auction.bid(LEG, units=1) == Code.OK and len(seen) < 40:
        seen.append(auction.get_margin(TARGET).maintenance)
    assert len(seen) > 5
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(("short", "code"), [(1, Code.CASH), (0, Code.OK)])
def test_drv_04__longs_without_the_cash_for_them__refused(short: int, code: Code) -> None:
    """Of an account that has only longs left, and a debt from a settlement."""
    auction = Auction(((PUT, 50), (CALL, 300)), percent=50)
    assert auction.get_account(TARGET).cash < 0
    leg = (CALL, 1)
    auction.put_account(BIDDER, Account(cash=7 * auction.get_price(leg) - short))
    assert auction.bid(leg, units=7) == code
    assert auction.get_account(BIDDER).positions == (((CALL, 7),) if code == Code.OK else ())


def test_drv_04__shorts_without_the_margin_for_them__refused_to_the_cent() -> None:
    """What the target pays for them counts, and is not enough."""
    units = 10
    wanted = compute_margin(0, ((CALL, -units),), Auction().state.markets)
    received = -units * Auction().get_price(LEG)
    cash = wanted.initial - wanted.equity - received
    assert 0 < received < wanted.initial
    for short, code in ((0, Code.OK), (1, Code.MARGIN)):
        assert Auction(bidder=Account(cash=cash - short)).bid(LEG, units=units) == code


def test_drv_04__an_account_that_is_flagged_itself__takes_no_risk_over() -> None:
    for held, code in (((), Code.FLAGGED), (((CALL, 5),), Code.OK)):
        auction = Auction(bidder=Account(cash=RICH, flag=1, positions=held))
        assert auction.bid(LEG, units=5) == code, "unless that closes what it has"


def test_drv_06__an_auction_ends() -> None:
    """At the buffer, or when nothing is left; every bid on the way there sells something."""
    auction = Auction(percent=90, age=0)
    codes = sell_all(auction, LEG, 1)
    margin = auction.get_margin(TARGET)
    assert codes[-1] in (Code.BID_SIZE, Code.MARGIN)
    assert 1 < len(codes) <= 301
    assert margin.maintenance < Auction(percent=90, age=0).get_margin(TARGET).maintenance


def test_drv_06__an_account_that_sold_everything__has_nothing_more_to_bid_on() -> None:
    auction = Auction(((CALL, -30),), percent=1, age=0)
    assert auction.bid(LEG, units=30) == Code.OK
    assert auction.get_account(TARGET).positions == ()
    assert auction.get_account(TARGET).cash > 0
    assert auction.bid(LEG, units=1) == Code.BID_SIZE
    auction.scribe.withdraw(TARGET, RICH)
    assert auction.run() == [Code.OK], "and takes home what is left, flagged or not"


def test_drv_07__assets_moved_after_the_start__only_in() -> None:
    auction = Auction()
    cash = auction.get_account(TARGET).cash
    auction.scribe.withdraw(TARGET, 10 * USD)
    auction.scribe.pool(TARGET, 10 * USD)
    auction.scribe.withdraw(TARGET, RICH)
    assert auction.run() == [Code.FLAGGED] * 3
    assert auction.get_account(TARGET).cash == cash
    auction.scribe.deposit(TARGET, 5 * USD)
    auction.run()
    assert auction.get_account(TARGET).cash == cash + 5 * USD


@pytest.mark.parametrize("held", [0, -4, 5])
def test_drv_07__positions_that_changed_since_the_bid_was_signed__are_not_turned_over(held: int) -> None:
    """Sold meanwhile, or on the other side now: a bid takes only what is there, and never opens anything for the target."""
    auction = Auction(((PUT, -200), (CALL, -300)))
    auction.scribe.bid(BIDDER, TARGET, (LEG,), 5, RICH)
    a = auction.get_account(TARGET)
    auction.put_account(TARGET, a._replace(positions=((PUT, -200), *(((CALL, held),) if held else ()))))
    assert auction.run() == [Code.BID_SIZE]


@pytest.mark.parametrize("age", [0, 7, AUCTION_MARKS])
def test_drv_23__a_trade_with_oneself__gains_nothing(age: int) -> None:
    """One owner cannot; two keys of one person can, and have together what they had: nobody else pays."""
    auction = Auction(age=age)
    for bidder in (TARGET, FRIEND):
        assert auction.bid(LEG, units=5, bidder=bidder) == Code.SELF_TRADE
    others = auction.get_account(OTHER), auction.get_account(FRIEND)
    total = auction.get_margin(TARGET).equity + auction.get_margin(BIDDER).equity
    assert auction.bid(LEG, units=5) == Code.OK
    assert auction.get_margin(TARGET).equity + auction.get_margin(BIDDER).equity <= total
    assert (auction.get_account(OTHER), auction.get_account(FRIEND)) == others
    g = auction.state.globals
    assert (g.fund, g.fees, g.pool, g.debt) == (0, 0, 0, 0)


def test_drv_23__an_auction_that_its_owner_wants__needs_a_loss_first() -> None:
    """A healthy account cannot be bid on, whoever owns it."""
    assert Auction(percent=130, flag=False).bid(LEG, units=5) == Code.NOT_FLAGGED


def test_attack_15__a_series_that_expires_under_the_bid__is_settled_not_sold() -> None:
    auction = Auction()
    auction.tick(ALL_SERIES[-1] // (1 << 49) % (1 << 40) - START)
    assert auction.bid(LEG, units=5) == Code.SERIES
