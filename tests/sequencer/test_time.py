"""Clocks that go back, and batches that were left open for too long: L1 runs what was promised all the same."""

import pytest

from sequencer.events import Lapsed, OrderPlaced, PostBatch, Publish
from tests.sequencer.test_machine import MARK, finish
from tests.sequencer.world import START, USD, World, build_deposits, build_order_event, build_withdraw_event


@pytest.mark.parametrize("valid_s", [0, 1, 60])
@pytest.mark.parametrize("later", [0, 2])
def test_clock__goes_back_behind_a_deposit__promised_state_is_l1s(valid_s: int, later: int) -> None:
    """The deposit opens the batch, and no frame of it lies before it: L1 would move the frame there, where its orders have expired."""
    world = World()
    world.open()
    world.land_all(START + 10)
    now = START + 20
    world.queue(now, build_deposits(1, 5 * USD, now - 15))
    world.ask(build_order_event(now - 1, 0, 1, MARK, 10, 1, valid_s=valid_s))
    placed = world.ask(build_order_event(now - 1 + later, 1, 0, MARK, 10, 1))
    assert isinstance(placed, OrderPlaced)
    assert bool(placed.fills) == (valid_s >= max(1, later))
    finish(world, now + 30)
    assert all(post.first <= post.last for post in world.effects if isinstance(post, PostBatch))
    assert not [effect for effect in world.effects if isinstance(effect, Publish) and isinstance(effect.news, Lapsed)]


@pytest.mark.parametrize("gap", [0, 1])
def test_batch__open_through_a_stop_longer_than_l1s_window__is_made_anew_before_it_is_posted(gap: int) -> None:
    world = World()
    world.open()
    world.land_all(START + 10)
    world.ask(build_withdraw_event(START + 60, 0, 5 * USD, 1))
    late = START + 60 + world.rules.params.header_window_s + gap
    world.see(late)
    assert world.posts == []
    finish(world, late + 30)
    assert [batch.record.first for batch in world.landed[1:]] == [late]
