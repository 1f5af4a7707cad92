"""The waterfall as users of the sequencer see it: who is up for auction, what a bid costs and does, and the pool behind it."""

from protocol.auction import compute_price
from protocol.codes import Code
from protocol.pool import VIRTUAL
from sequencer import accounts
from sequencer.events import AuctionTaken, ClockElapsed, RowApplied
from tests.sequencer.test_machine import MARK, finish, list_news
from tests.sequencer.test_orders import expect_placed, expect_refusal
from tests.sequencer.world import (
    CALL,
    FORWARD,
    START,
    USD,
    World,
    build_bid_event,
    build_mark_event,
    build_order_event,
    build_pool_event,
    build_withdraw_event,
)

LOTS = 150
MARK_S = 10


class Weak(World):
    """Account 0 has sold more than it can hold; 2 and 3 have nothing but cash."""

    def __init__(self) -> None:
        super().__init__()
        self.open(4, 20_000 * USD)
        self.marked = START
        expect_placed(self, build_order_event(START + 1, 0, 0, MARK, LOTS, 1))
        expect_placed(self, build_order_event(START + 1, 1, 1, MARK, LOTS, 1))
        for percent in (103, 106, 109):
            self.mark(percent)

    def mark(self, percent: int = 109) -> None:
        """The forward at so much of where it began."""
        before, self.marked = self.marked, self.marked + MARK_S
        event = build_mark_event(self.marked, self.marked, before, FORWARD * percent // 100, request=1)
        assert isinstance(self.ask(event), RowApplied)

    def get_price(self, legs: tuple[tuple[int, int], ...] = ((CALL, -1),)) -> int:
        """Of a unit of account 0's positions."""
        state = self.machine.state
        return compute_price(legs, state.globals.marks - state.get_account(0).flag, state.markets, self.rules.kernel)


def test_a_flagged_account__is_listed_with_a_discount_that_grows_by_the_mark() -> None:
    world, auctions = Weak(), accounts.Auctions()
    assert auctions.find(world.machine) == [0]
    views, prices = [], []
    for _ in range(3):
        views.append(accounts.view_auction(world.machine, 0))
        prices.append(world.get_price())
        world.mark()
    assert [(view["marks"], view["discount_percent"]) for view in views] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert views[0]["positions"][0]["size"] == -LOTS
    assert prices[0] > prices[1] > prices[2]  # negative: the bidder is paid more and more
    finish(world, world.marked + 20)


def test_a_bid__moves_positions_at_the_mark_less_the_discount__until_the_account_is_well_again() -> None:
    world, auctions = Weak(), accounts.Auctions()
    assert auctions.find(world.machine) == [0]
    world.mark()
    price, before = world.get_price(), [world.machine.state.get_account(index).cash for index in (0, 2)]
    effects = world.apply(build_bid_event(world.marked + 1, 2, 0, [(CALL, -1)], 20, price, 1))
    assert list_news(effects, AuctionTaken) == [AuctionTaken(2, 0, 20)]
    state = world.machine.state
    assert [state.get_account(index).positions for index in (0, 2)] == [((CALL, 20 - LOTS),), ((CALL, -20),)]
    assert [state.get_account(index).cash for index in (0, 2)] == [before[0] + 20 * price, before[1] - 20 * price]
    world.mark()
    assert auctions.find(world.machine) == []  # it holds its maintenance again
    assert not state.get_account(0).flag
    finish(world, world.marked + 20)


def test_bids_that_cannot_be__have_the_rules_codes() -> None:
    world = Weak()
    price, now = world.get_price(), world.marked + 1
    short, cases = [(CALL, -1)], []
    cases += [(build_bid_event(now, 2, 0, short, 20, price - 1, 1), Code.LIMIT)]
    cases += [(build_bid_event(now, 2, 1, short, 20, price, 1), Code.NOT_FLAGGED)]
    cases += [(build_bid_event(now, 2, 0, short, LOTS + 1, price, 1), Code.BID_SIZE)]
    cases += [(build_bid_event(now, 2, 0, short, LOTS // 2, price, 1), Code.BID_SIZE)]  # far more than restores it
    cases += [(build_bid_event(now, 2, 0, [(CALL, 1)], 20, price, 1), Code.BID_SIZE)]
    cases += [(build_bid_event(now, 2, 0, [(CALL, -2)], 10, 2 * price, 1), Code.LEGS)]
    cases += [(build_bid_event(now, 2, 2, short, 20, price, 1), Code.SELF_TRADE)]
    cases += [(build_bid_event(now, 2, 0, short, 20, price, 0), Code.NONCE)]
    cases += [(build_bid_event(now - 70, 2, 0, short, 20, price, 1), Code.EXPIRED)]
    for event, code in cases:
        expect_refusal(world, event, code)
    expect_refusal(world, build_bid_event(world.marked + 61, 2, 0, short, 20, price, 1), Code.STALE)
    finish(world, world.marked + 90)


def test_a_flagged_account__trades_only_to_shrink_and_takes_nothing_out() -> None:
    world = Weak()
    now = world.marked + 1
    expect_refusal(world, build_withdraw_event(now, 0, USD, 1), Code.FLAGGED)
    state = world.machine.state
    mark = world.rules.kernel.get_quote(CALL, state.markets)
    assert mark is not None
    price, generation = mark.mark // 100, state.get_account(0).generation
    assert generation == 1  # what it had signed before is dead
    expect_placed(world, build_order_event(now, 2, 1, price - 10, 10, 1))
    expect_refusal(world, build_order_event(now, 0, 0, price - 10, 10, 2, generation=generation), Code.FLAGGED)
    expect_placed(world, build_order_event(now, 1, 0, price, 10, 2))
    bought = expect_placed(world, build_order_event(now, 0, 1, price, 10, 2, generation=generation))
    assert [fill.lots for fill in bought.fills] == [10]
    finish(world, world.marked + 20)


def test_pool__in_and_out_after_the_delay__at_a_value_that_is_shown() -> None:
    world = World()
    world.open(3)
    delay, amount = world.rules.params.pool_delay_s, 5_000 * USD
    expect_refusal(world, build_pool_event(START + 1, 0, USD, 1), Code.POOL)  # less than 10 USD
    expect_refusal(world, build_pool_event(START + 1, 0, 10**13, 1), Code.NOTHING_FREE)
    expect_refusal(world, build_pool_event(START + 1, 0, 1, 1, is_leaving=True), Code.POOL)  # no shares
    assert isinstance(world.ask(build_pool_event(START + 1, 0, amount, 1)), RowApplied)
    summary = accounts.view_summary(world.machine, 0)
    assert summary["pool_request"] == {"kind": "enter", "amount": amount, "due": START + 1 + delay}
    expect_refusal(world, build_pool_event(START + 2, 0, amount, 2), Code.POOL)  # one is pending
    now = START + 1 + delay
    world.ask(build_mark_event(now, now, START, request=1))
    shown = accounts.view_pool(world.machine.state.globals)
    shares = world.machine.state.get_account(0).shares
    assert (shown["cash"], shown["shares"], shown["requests"]) == (amount, shares, 0)
    assert shares > 0
    assert shown["exit_price"] == USD  # of a million shares
    assert shown["shares_per_usd"] == VIRTUAL
    assert isinstance(world.ask(build_pool_event(now + 1, 0, shares, 2, is_leaving=True)), RowApplied)
    assert accounts.view_summary(world.machine, 0)["pool_request"]["kind"] == "leave"
    later = now + 1 + delay
    world.ask(build_mark_event(later, later, now, request=1))
    assert world.machine.state.globals.shares == 0
    assert world.machine.state.get_account(0).cash == 10**12
    world.apply(ClockElapsed(later + 10))
    finish(world, later + 20)
