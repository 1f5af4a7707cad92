"""A table of steps is found, or refused before any worker starts with it."""

import pytest

from node.errors import NodeCode, NodeError
from node.steps import HONEST_STEPS, load_steps
from protocol.steps import STEPS


def test_load_steps__the_rules__are_found() -> None:
    assert load_steps(HONEST_STEPS) is STEPS


@pytest.mark.parametrize(
    "name", ["", "protocol.steps", "protocol.steps:NOTHING", "no.such.module:STEPS", "protocol.types:Phase", "protocol.params:YEAR_S"]
)
def test_load_steps__anything_else__is_refused(name: str) -> None:
    with pytest.raises(NodeError) as refused:
        load_steps(name)
    assert refused.value.code == NodeCode.CONFIG_FIELD
