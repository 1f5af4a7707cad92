"""The verdict on tracing with two cores: from the cores that were really used, and none where they were not free."""

import pytest

from bench.tracing import describe, judge


@pytest.mark.parametrize(
    ("share", "used", "is_met", "is_contended", "word"),
    [
        (0.20, 2.0, True, False, ": met"),
        (0.22, 1.8, True, False, ": met"),
        (0.24, 1.8, False, False, ": MISSED"),  # half the processor time would be within the goal, the wall is not
        (0.10, 1.69, False, True, "not measured on two free cores"),
        (0.40, 1.04, False, True, "not measured on two free cores"),
    ],
)
def test_judge__cores_used__decide_what_the_goal_is_held_against(
    share: float, used: float, is_met: bool, is_contended: bool, word: str
) -> None:
    figures = judge(share, used) | {"tracing_model_cores_used": used}
    assert figures["fullest_epoch_two_cores_wall"] == pytest.approx(2 * share / used)
    assert (figures["fullest_epoch_two_cores_goal_met"], figures["contended"]) == (is_met, is_contended)
    assert word in describe(figures)
