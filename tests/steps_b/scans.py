"""Whole scans, step by step, and what holds of a state after any of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.machine import Preimages, open_scan
from protocol.margin import Margin, compute_margin
from protocol.params import MINIMAL
from protocol.rules import Rules
from protocol.state import State, get_word_index, put_bit
from protocol.steps import STEPS
from protocol.types import POOL_OWNER, Account, Bitmap, Globals, Header, Market, Mode, Phase, Position, Sweep, is_holder, is_risky
from sim.twins import assert_twins
from sim.twins.scan_cases import compute_total, count_lots
from tests.steps_b.worlds import ADDRESSES, NOW, make_rules

RULES = make_rules()
FIRST_SLOT = MINIMAL.max_accounts
MARKS = 40
HEADER = Header(bytes(32), bytes(32), 5, batch=2, frames=3, frame=1)


@dataclass
class Scan:
    """A scan under way. `seen` has the phase and mode of each step."""

    state: State
    header: Header
    pre: Preimages
    rules: Rules = RULES
    seen: list[tuple[Phase, Mode]] = field(default_factory=list)

    def step(self, by_both: bool = True) -> None:
        """One step, by both twins or by Python alone."""
        self.seen.append((Phase(self.header.phase), Mode(self.pre.sweep.mode)))
        if by_both:
            self.header = assert_twins(self.header, self.state, self.pre, self.rules).after
        else:
            self.header, _ = STEPS[Phase(self.header.phase)](self.header, self.state, self.pre, self.rules)

    def run(self, by_both: bool = True, watch: Callable[["Scan"], None] | None = None) -> "Scan":
        """To the end; `watch` sees the scan before each step."""
        total = compute_total(self.state)
        while self.header.phase != Phase.FETCH:
            if watch is not None:
                watch(self)
            self.step(by_both)
            assert len(self.seen) < 1_000
        assert self.pre.sweep == Sweep()
        assert self.pre.lines == ()
        assert self.header.scratch == bytes(32)
        assert compute_total(self.state) == total
        return self


def open_state(state: State, sweep: Sweep, rules: Rules = RULES) -> Scan:
    """As the row that calls for the scan leaves it."""
    pre = Preimages([])
    return Scan(state, open_scan(HEADER, pre, sweep), pre, rules)


def make_state(accounts: dict[int, Account], markets: tuple[Market, Market] = (Market(), Market()), /, **fields: int) -> State:
    """On MINIMAL, with everybody's bits; slots are accounts from the first slot on."""
    state = State(MINIMAL)
    users = [index for index in accounts if index < FIRST_SLOT]
    g = Globals(
        clock=NOW, allowance=1_000, accounts=max(users, default=0) + 1, marks=MARKS, slots=len(accounts) - len(users), balance=1 << 60
    )
    shares = sum(a.shares for a in accounts.values())
    requests = sum(a.request != 0 for a in accounts.values())
    state.put_globals(g._replace(shares=shares, requests=requests)._replace(**fields))
    state.put_markets(markets)
    for index, a in accounts.items():
        state.put_account(index, a)
        is_slot = index >= FIRST_SLOT
        put_bit(state, Bitmap.RISKY, index, is_slot or a.flag > 0 or is_risky(a.cash, a.positions))
        put_bit(state, Bitmap.HOLDER, index, is_slot or is_holder(a))
        put_bit(state, Bitmap.REQUEST, index, a.request != 0)
    return state


def make_user(positions: tuple[Position, ...] = (), cash: int = 0, **fields: int) -> Account:
    """Of no particular owner."""
    return Account(ADDRESSES[0], cash, positions=positions, **fields)


def make_slot(positions: tuple[Position, ...] = (), cash: int = 0, nonce: int = 0) -> Account:
    """Of the pool."""
    return Account(POOL_OWNER, cash, nonce=nonce, positions=positions)


def has_bit(state: State, bitmap: Bitmap, index: int) -> bool:
    """Of an account in a bitmap."""
    return state.get_word(get_word_index(bitmap, index, state.params)) >> (index & 255) & 1 == 1


def get_margin(state: State, index: int) -> Margin:
    """Of an account at the marks of the state."""
    a = state.get_account(index)
    return compute_margin(a.cash, a.positions, state.markets)


def list_free_slots(state: State) -> list[int]:
    """From the one that was emptied last."""
    free: list[int] = []
    at = state.globals.free_slot
    while at:
        assert at - 1 not in free, "the list has no loop"
        free.append(at - 1)
        at = state.get_account(at - 1).nonce
    return free


def check_state(state: State) -> None:
    """What holds of any state between two rows: series, counts, bits and the pool's slots."""
    g, users = state.globals, {index: a for index, a in state.accounts.items() if a.owner not in (0, POOL_OWNER)}
    assert not any(count_lots(state).values())
    assert g.pool >= 0
    assert g.shares == sum(a.shares for a in users.values())
    assert g.requests == sum(a.request != 0 for a in users.values())
    for index, a in users.items():
        assert g.is_settled or has_bit(state, Bitmap.REQUEST, index) == (a.request != 0)
        assert has_bit(state, Bitmap.HOLDER, index) or not is_holder(a)
        assert has_bit(state, Bitmap.RISKY, index) or g.is_settled or not (a.flag or is_risky(a.cash, a.positions))
    free = list_free_slots(state)
    for index in range(state.params.max_accounts, state.params.max_accounts + g.slots):
        slot = state.get_account(index)
        assert slot == Account(POOL_OWNER, slot.cash, nonce=slot.nonce, positions=slot.positions)
        assert slot.owner == POOL_OWNER
        is_used = index not in free
        assert has_bit(state, Bitmap.RISKY, index) == is_used
        assert g.is_settled or has_bit(state, Bitmap.HOLDER, index) == is_used
        assert is_used or (slot.cash == 0 and not slot.positions)
