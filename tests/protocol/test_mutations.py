"""Each invariant can fail: with one rule changed, the checks of the random exchange notice; by the rules the same life goes on."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import pytest

from protocol import pool
from protocol.codes import Code
from protocol.margin import Margin, check_trade, is_reducing
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import authorize, cancel, commit, deleverage, margin, takeover, withdraw
from protocol.sweeps import deleverage as adl
from protocol.sweeps import modes, request, settle
from protocol.sweeps.tour import Tour, Visit
from protocol.types import Account, Mode, Trade
from protocol.waterfall import Closing, Purse, Takeover, compute_closing, compute_takeover
from tests.protocol.checked import CheckedWorld
from tests.protocol.world import ACTIONS

SEEDS = range(6)
ACTS = 150

Patch = Callable[[pytest.MonkeyPatch], None]


def lose_the_fee(patch: pytest.MonkeyPatch) -> None:
    """Who takes pays a fee, and nobody gets it."""
    honest = commit.apply_trade

    def apply_trade(view: View, trade: Trade, maker: Account, taker: Account) -> None:
        honest(view, trade._replace(fee=0), maker, taker)

    patch.setattr(commit, "apply_trade", apply_trade)


def round_up_what_leaves(patch: pytest.MonkeyPatch) -> None:
    """The winners' haircut of a settlement is rounded account by account: the parts are not the whole."""
    patch.setattr(settle, "share", lambda before, part, loss, total: part * loss // total if total else 0)


def forget_the_taker(patch: pytest.MonkeyPatch) -> None:
    """Only the maker gets its lots."""
    honest = commit.apply_trade

    def apply_trade(view: View, trade: Trade, maker: Account, taker: Account) -> None:
        honest(view, trade, maker, taker._replace(positions=view.get_account(trade.taker).positions))

    patch.setattr(commit, "apply_trade", apply_trade)


def cut_by_itself(patch: pytest.MonkeyPatch) -> None:
    """Deleveraging rounds each holder's lots, so that some of the bankrupt's stay with nobody on the other side."""
    patch.setattr(adl, "share", lambda before, part, loss, total: part * loss // total if total else 0)


def ask_for_maintenance(patch: pytest.MonkeyPatch) -> None:
    """A trade needs no more than what is flagged below."""

    def check(before: Margin, after: Margin, is_flagged: bool, is_stale: bool) -> Code:
        code = check_trade(before, after, is_flagged, is_stale)
        return Code.OK if code == Code.MARGIN and after.equity >= after.maintenance else code

    patch.setattr(margin, "check_trade", check)


def reduce_by_shortfall(patch: pytest.MonkeyPatch) -> None:
    """A flagged account may do anything that makes its shortfall smaller."""

    def check(before: Margin, after: Margin, is_flagged: bool, is_stale: bool) -> Code:
        code = check_trade(before, after, is_flagged, is_stale)
        is_better = after.maintenance - after.equity < before.maintenance - before.equity
        return Code.OK if code == Code.FLAGGED and is_better and not is_reducing(before, after) else code

    patch.setattr(margin, "check_trade", check)


def accept_any_nonce(patch: pytest.MonkeyPatch) -> None:
    """Signed once is signed for ever."""
    for step in (cancel, withdraw, authorize):
        patch.setattr(step, "is_valid_nonce", lambda a, nonce: True)


def charge_bystanders(patch: pytest.MonkeyPatch) -> None:
    """Whoever is visited by a settlement and has nothing in it pays a cent to the fund."""

    def pay(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
        if a.positions or a.cash < 10_000 or index >= rules.params.max_accounts:
            return settle.pay(index, a, tour, rules)
        g = tour.globals
        return Visit(tour._replace(globals=g._replace(fund=g.fund + 10_000)), a._replace(cash=a.cash - 10_000))

    work = modes.WORK[Mode.SETTLE_PAY]
    patch.setitem(modes.WORK, Mode.SETTLE_PAY, work._replace(visit=pay))


def enter_rounded_up(patch: pytest.MonkeyPatch) -> None:
    """A share too many for whoever enters."""
    patch.setattr(request, "compute_minted", lambda *terms: pool.compute_minted(*terms) + 1)


def leave_before_the_virtual_shares(patch: pytest.MonkeyPatch) -> None:
    """Who leaves takes a part of all that the pool has and of all that its slots have."""
    patch.setattr(request, "compute_paid", lambda out, cash, shares: min(out * cash // shares + 2, cash))


def charge_the_pool(patch: pytest.MonkeyPatch) -> None:
    """A cent of every penalty is the pool's to pay."""

    def compute(equity: int, maintenance: int, purse: Purse) -> Takeover | None:
        done = compute_takeover(equity, maintenance, purse)
        if done is None or equity < 0 or done.purse.pool < 10_000:
            return done
        return done._replace(kept=equity, purse=Purse(done.purse.pool - (equity - done.kept), done.purse.fund))

    patch.setattr(takeover, "compute_takeover", compute)


def spare_the_pool(patch: pytest.MonkeyPatch) -> None:
    """The other side of the bankrupt pays, though there is money in the pool."""

    def compute(equity: int, worth: int, purse: Purse) -> Closing:
        closing = compute_closing(equity, worth, Purse(0, purse.fund))
        return closing._replace(purse=Purse(purse.pool, closing.purse.fund))

    patch.setattr(deleverage, "compute_closing", compute)


def spare_the_fund(patch: pytest.MonkeyPatch) -> None:
    """The same for the fund."""

    def compute(equity: int, worth: int, purse: Purse) -> Closing:
        closing = compute_closing(equity, worth, Purse(purse.pool, 0))
        return closing._replace(purse=Purse(closing.purse.pool, purse.fund))

    patch.setattr(deleverage, "compute_closing", compute)


def set_no_bits(patch: pytest.MonkeyPatch) -> None:
    """A trade leaves the bitmaps alone."""
    patch.setattr(commit, "put_bits", lambda view, index, a: None)


@dataclass(frozen=True)
class Mutation:
    """`check` is whom it must fail; `weights` are of the actions that make its life."""

    change: Patch
    check: str
    weights: dict[str, int]


TRADING = {"move": 2, "trade": 8, "close": 1}
CRASHES = {"trade": 10, "crash": 3, "enter": 1, "move": 1}
EXPIRING = {"trade": 25, "settle": 4}
SETTLING = {"trade": 10, "crash": 1, "settle": 2, "enter": 2, "move": 2}
POOLING = {"trade": 3, "enter": 3, "leave": 3, "move": 3, "drift": 1}
MUTATIONS = (
    Mutation(lose_the_fee, "check_1_cash_is_conserved", TRADING),
    Mutation(round_up_what_leaves, "check_1_cash_is_conserved", EXPIRING),
    Mutation(forget_the_taker, "check_2_every_series_sums_to_zero", TRADING),
    Mutation(cut_by_itself, "check_1_cash_is_conserved", CRASHES),  # the lots that stay are the second's to see, if money were not first
    Mutation(ask_for_maintenance, "check_3_initial_margin", TRADING),
    Mutation(reduce_by_shortfall, "check_3_initial_margin", {**TRADING, "crash": 1, "close": 5}),
    Mutation(accept_any_nonce, "check_4_nonces_and_generations_only_grow", {"cancel": 2, "session": 1, "replay": 2}),
    Mutation(charge_bystanders, "check_5_a_flat_user_never_pays", SETTLING),
    Mutation(enter_rounded_up, "check_6_nobody_enters_or_leaves_the_pool_at_others_cost", POOLING),
    Mutation(leave_before_the_virtual_shares, "check_6_nobody_enters_or_leaves_the_pool_at_others_cost", POOLING),
    Mutation(charge_the_pool, "check_6_nobody_enters_or_leaves_the_pool_at_others_cost", {**POOLING, "trade": 10, "crash": 1, "drift": 3}),
    Mutation(spare_the_pool, "check_7_adl_has_a_haircut_only_when_pool_and_fund_are_empty", CRASHES),
    Mutation(spare_the_fund, "check_7_adl_has_a_haircut_only_when_pool_and_fund_are_empty", CRASHES),
    Mutation(set_no_bits, "check_8_bits", TRADING),
)


def live(seed: int, weights: dict[str, int]) -> Iterator[int]:
    """One life; yields how many acts are over, all of them checked."""
    rng = Random(seed)
    world = CheckedWorld()
    world.mark_both()
    for number, name in enumerate(rng.choices(list(weights), list(weights.values()), k=ACTS)):
        yield number
        world.wait(rng.choice((0, 0, 5)))
        ACTIONS[name][0](world, rng)
        world.check_steps()


def find_failure(mutation: Mutation) -> tuple[int, int, list[str]]:
    """The first seed whose life fails, after how many acts, and in which functions."""
    for seed in SEEDS:
        acts: list[int] = []
        try:
            acts.extend(live(seed, mutation.weights))
        except AssertionError as error:
            return seed, len(acts), [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    raise AssertionError("nobody noticed")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.change.__name__)
def test_mutation__one_rule_changed__its_invariant_fails(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        mutation.change(patch)
        seed, acts, where = find_failure(mutation)
    assert mutation.check in where, where
    assert any(number >= acts for number in live(seed, mutation.weights)), "by the rules it goes on"
