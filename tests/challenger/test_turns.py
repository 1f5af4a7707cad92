"""Whose turn it is among honest parties."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from challenger.state import FAR, Settings
from challenger.turns import compute_turn
from protocol.params import MAINNET

GRACE_S = MAINNET.grace_s
ADDRESSES = st.integers(1, (1 << 160) - 1)


def make_settings(me: int | None, takes_turns: bool = True) -> Settings:
    return Settings(MAINNET, b"", me, takes_turns=takes_turns)


@settings(max_examples=40)
@given(ADDRESSES, ADDRESSES, st.text(max_size=20), st.integers(0, FAR))
def test_turn__any_party__is_over_within_half_of_the_grace(me: int, claimant: int, name: str, free_from: int) -> None:
    turn = compute_turn(make_settings(me), name, claimant, free_from)
    if me == claimant:
        assert turn is None
    else:
        assert turn is not None
        assert GRACE_S >> 2 <= turn.wait_s <= GRACE_S >> 1
        assert turn.until <= free_from + (GRACE_S >> 1)
    assert compute_turn(make_settings(me, False), name, claimant, free_from) is None
    assert compute_turn(make_settings(None), name, claimant, free_from) is None


def test_turn__many_parties_and_no_claimant__hardly_two_within_three_blocks() -> None:
    waits = sorted(turn.wait_s for me in range(1, 9) if (turn := compute_turn(make_settings(me), "claim:1", 0)) is not None)
    assert len(waits) == 8
    close = sum(later - sooner < 36 for sooner, later in pairwise(waits))
    assert close <= 2
    assert waits[-1] - waits[0] > GRACE_S >> 3
