"""The numbered invariants of `docs/protocol/machine.md`, as checks between two states or around one step."""

from collections import Counter
from collections.abc import Sequence

from protocol.codes import Code
from protocol.fixed_point import div_down, div_up
from protocol.leap import Outcome
from protocol.margin import compute_margin, compute_mark, is_reducing
from protocol.operations import Kind
from protocol.series import UNDERLYING_SHIFT
from protocol.state import State, get_word_index
from protocol.sweeps.deleverage import PRICE_SHIFT
from protocol.trace import Machine
from protocol.types import LOTS_PER_UNIT, POOL_OWNER, Account, Bitmap, Mode, Phase, is_holder, is_risky
from tests.protocol.branches import Change

VIRTUAL = 1_000_000


def check_1_cash_is_conserved(state: State, paid_in: int) -> None:
    """`paid_in` is all that was ever deposited."""
    g = state.globals
    held = sum(a.cash + max(a.request, 0) for a in state.accounts.values())
    assert held + g.fund + g.fees + g.pool - g.debt == g.balance
    assert g.balance == paid_in - sum(amount for _, amount in state.outbox)


def check_2_every_series_sums_to_zero(state: State) -> None:
    """And no account has two encodings: its positions ascend, none of them empty."""
    sums: Counter[int] = Counter()
    for a in state.accounts.values():
        assert list(a.positions) == sorted({series: lots for series, lots in a.positions if lots}.items())
        for series, lots in a.positions:
            sums[series] += lots
    assert not any(sums.values())


def check_3_initial_margin(before: State, after: State, outcomes: Sequence[Outcome]) -> None:
    """Of a batch with at most one TRADE or BID."""
    for items, code in outcomes:
        kind = items[0] & 15 if items else 0
        if code != Code.OK or kind not in (Kind.TRADE, Kind.BID):
            continue
        sides = (items[1], items[3]) if kind == Kind.TRADE else (items[1], items[2])
        for index in sides:
            a, b = before.get_account(index), after.get_account(index)
            then, now = (compute_margin(x.cash, x.positions, after.markets) for x in (a, b))
            assert b.cash >= 0 or b.cash >= a.cash
            is_target = kind == Kind.BID and index == items[2]
            if a.flag or is_target:
                assert is_reducing(then, now) or (not now.has_short and not is_target)
            else:
                assert now.equity >= now.initial or not now.has_short or is_reducing(then, now)


def check_4_nonces_and_generations_only_grow(before: State, after: State) -> None:
    """Of users: a pool slot's nonce is a link of the list of free ones."""
    for index, a in before.accounts.items():
        b = after.get_account(index)
        assert index >= before.params.max_accounts or (b.nonce >= a.nonce and b.generation >= a.generation and b.sheet >= a.sheet)
    for index, slots in before.orders.items():
        assert all(after.get_slot_nonce(index, slot) >= entry.nonce for slot, entry in slots.items())


def check_5_a_flat_user_never_pays(before: State, after: State, outcomes: Sequence[Outcome]) -> None:
    """`outcomes` are those of everything between the two."""
    acted = {index for items, code in outcomes if code == Code.OK for index in list_actors(items)}
    for index, a in before.accounts.items():
        if index in acted or a.positions or a.cash < 0 or index >= before.params.max_accounts:
            continue
        b = after.get_account(index)
        assert b.cash == a.cash or (b.cash > a.cash and (a.request or a.shares)), index
        assert not b.positions


def list_actors(items: tuple[int, ...]) -> tuple[int, ...]:
    """Accounts that the row names."""
    match Kind(items[0] & 15):
        case Kind.TRADE:
            return items[1], items[3]
        case Kind.BID:
            return items[1], items[2]
        case Kind.MARK | Kind.SETTLE | Kind.SHUTDOWN:
            return ()
    return (items[1],)


def check_6_nobody_enters_or_leaves_the_pool_at_others_cost(change: Change, machine: Machine, phase: Phase) -> None:
    """A share's value falls only where a scan visits, takes over or deleverages; a MARK sets out to count the slots anew.

    And who is taken over while it has equity costs the pool no more than the slot is worth, which is its maintenance.
    """
    del machine
    if phase == Phase.TAKEOVER and change.sweep.equity >= 0 and change.a.positions and not change.a_after.positions:
        assert change.g_after.pool + change.sweep.maintenance >= change.g.pool
    if phase in (Phase.MARK, Phase.TAKEOVER, Phase.DELEVERAGE) or (phase == Phase.SCAN and change.sweep.mode != Mode.REQUEST):
        return
    g, h = change.g, change.g_after
    before, after = ((each.pool + each.slots_equity + VIRTUAL, each.shares + VIRTUAL) for each in (g, h))
    assert after[0] * before[1] >= before[0] * after[1]


def check_7_adl_has_a_haircut_only_when_pool_and_fund_are_empty(change: Change, machine: Machine, phase: Phase) -> None:
    """The lots that are closed go at their marks, or below, where the bankrupt owes more than there is."""
    if phase != Phase.DELEVERAGE:
        return
    markets, need, worth = machine.state.markets, -change.a.cash, 0
    for series, lots in change.a.positions:
        mark = compute_mark(series, markets[series >> UNDERLYING_SHIFT]) or 0
        need -= lots * (div_up(mark, LOTS_PER_UNIT) if lots < 0 else div_down(mark, LOTS_PER_UNIT))
        worth -= min(lots, 0) * div_up(mark, LOTS_PER_UNIT)
    shorts = [lots for _, lots in change.a.positions if lots < 0]
    prices = [line >> PRICE_SHIFT for line in machine.preimages.lines[1::2]]
    dust = change.g_after.fund - max(change.g.fund - max(need - change.g.pool, 0), 0)
    paid = dust - sum(lots * price for lots, price in zip(shorts, prices, strict=True))
    assert need > 0
    assert paid == worth - min(max(need - change.g.pool - change.g.fund, 0), worth)
    assert 0 <= dust <= -sum(shorts)


def check_8_bits(state: State) -> None:
    """Whoever a scan must visit has its bit. After a SHUTDOWN has settled, nothing does."""
    for index, a in state.accounts.items():
        for bitmap, is_due in ((Bitmap.RISKY, is_scanned(a)), (Bitmap.HOLDER, is_holder(a)), (Bitmap.REQUEST, a.request != 0)):
            bit = state.get_word(get_word_index(bitmap, index, state.params)) >> (index & 255) & 1
            assert bit or not is_due, (index, bitmap.name)
    assert state.globals.requests == sum(a.request != 0 for a in state.accounts.values())
    assert state.globals.shares == sum(a.shares for a in state.accounts.values())


def is_scanned(a: Account) -> bool:
    """By a mark."""
    return is_risky(a.cash, a.positions) or a.flag > 0 or (a.owner == POOL_OWNER and bool(a.positions))
