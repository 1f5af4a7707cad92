"""AWARD: what a bid that passed its checks leaves behind; by both twins."""

import pytest

from protocol.codes import Code
from protocol.legs import pack_leg
from protocol.machine import Preimages
from protocol.params import MINIMAL
from protocol.rules import Rules
from protocol.state import State, get_word_index, put_bit
from protocol.types import Account, Bitmap, Globals, Header, Phase, Trade, compute_trade_hash, is_holder, is_risky
from sim.twins import assert_twins
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.worlds import make_header
from tests.steps_b.auctions import BIDDER, CALL, PUT, STRANGLE, TARGET, Auction

RULES: Rules = ALL_RULES[0]
PRICE = -7_000_000


def award(target: Account, bidder: Account, units: int, at: tuple[int, int] = (3, 7)) -> tuple[State, Header]:
    """Of the strangle; the accounts stand at the two indices."""
    state = State(MINIMAL)
    state.put_globals(Globals(5, 7, accounts=max(at) + 1, marks=9, fund=11, fees=13, balance=17, pool=19))
    for index, a, owner in zip(at, (target, bidder), (5, 6), strict=True):
        state.put_account(index, a._replace(owner=owner))
        put_bit(state, Bitmap.RISKY, index, is_risky(a.cash, a.positions) or a.flag > 0)
        put_bit(state, Bitmap.HOLDER, index, is_holder(a))
    legs = tuple(pack_leg(series, -1) for series, _ in STRANGLE)
    pre = Preimages([])
    pre.trade = Trade(at[0], 0, at[1], 0, legs, -units, PRICE, 0, equity=1, maintenance=2, nonce=77)
    header = make_header(Dice(1), Phase.AWARD, scratch=compute_trade_hash(pre.trade))
    outcome = assert_twins(header, state, pre, RULES)
    assert outcome.code == Code.OK
    return state, outcome.after


def get_bits(state: State, index: int) -> list[int]:
    """RISKY, HOLDER, REQUEST."""
    return [state.get_word(get_word_index(bitmap, index, MINIMAL)) >> (index & 255) & 1 for bitmap in Bitmap]


@pytest.mark.parametrize("at", [(3, 7), (7, 3), (0, 255), (255, 256), (300, 2)])
def test_both_sides_change_by_what_the_trade_says(at: tuple[int, int]) -> None:
    """In one word of the bitmaps or in two."""
    target = Account(cash=10**12, positions=STRANGLE, flag=4, nonce=8, generation=2, session=3, sheet=5)
    bidder = Account(cash=10**12, positions=((PUT, 150),), nonce=8, generation=1)
    state, header = award(target, bidder, 150, at)
    assert state.get_account(at[0]) == target._replace(owner=5, cash=10**12 + 150 * PRICE, positions=((PUT, -50), (CALL, -150)))
    assert state.get_account(at[1]) == bidder._replace(owner=6, cash=10**12 - 150 * PRICE, positions=((CALL, -150),), nonce=77)
    assert [get_bits(state, index) for index in at] == [[1, 1, 0], [1, 1, 0]]
    assert state.globals == Globals(5, 7, accounts=max(at) + 1, marks=9, fund=11, fees=13, balance=17, pool=19)
    assert (header.phase, header.scratch) == (Phase.FETCH, bytes(32))


@pytest.mark.parametrize(
    ("fields", "bits"),
    [
        ({}, [1, 0, 0]),
        ({"cash": 5}, [1, 1, 0]),
        ({"shares": 1}, [1, 1, 0]),
        ({"request": -1}, [1, 1, 0]),
        ({"flag": 0}, [0, 0, 0]),
    ],
)
def test_bits_of_an_account_that_sold_everything(fields: dict[str, int], bits: list[int]) -> None:
    """A flagged account stays in the scan, and whoever has shares, a request or a debt in the settlements."""
    positions = tuple((series, -100) for series, _ in STRANGLE)
    target = Account(cash=10**9, positions=positions, flag=4)._replace(**fields)  # type: ignore[arg-type]  # by name, checked by use
    state, _ = award(target, Account(), 100)
    assert get_bits(state, 3) == bits
    assert state.get_account(3).positions == ()


def test_bits_of_a_bidder_that_becomes_flat() -> None:
    """It held the other side of all that it takes over."""
    bidder = Account(positions=tuple((series, 100) for series, _ in STRANGLE))
    state, _ = award(Account(positions=tuple((series, -500) for series, _ in STRANGLE), flag=1), bidder, 100)
    assert get_bits(state, 7) == [0, 0, 0]


def test_a_full_account_sells_by_four_legs_to_one_without_room() -> None:
    """128 positions on both sides are no hindrance where the bidder holds the same series."""
    series = [PUT + 2 * 10_000 * step for step in range(128)]  # strikes a cent apart
    target = tuple((item, -10) for item in series)
    auction = Auction(target, bidder=Account(cash=10**15, positions=tuple((item, 20) for item in series)))
    assert auction.bid(*[(item, -1) for item in series[:4]], units=10) == Code.OK
    assert len(auction.get_account(TARGET).positions) == 124
    assert len(auction.get_account(BIDDER).positions) == 128
