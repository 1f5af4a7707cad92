"""The numbered invariants of the machine, held over anything that anyone does in any order: by leaps, and by steps in the end."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.protocol.checked import CheckedWorld
from tests.protocol.world import ACTIONS

NAMES = [name for name, (_, weight) in ACTIONS.items() for _ in range(weight)]


class Exchange(RuleBasedStateMachine):
    """One life of an exchange; whoever acts and how comes from a seed that hypothesis draws."""

    def __init__(self) -> None:
        super().__init__()
        self.world = CheckedWorld()
        self.world.mark_both()
        self.is_over = False

    @precondition(lambda self: not self.is_over)
    @rule(name=st.sampled_from(NAMES), seed=st.integers(0, (1 << 32) - 1), seconds=st.sampled_from((0, 0, 5, 30)))
    def act(self, name: str, seed: int, seconds: int) -> None:
        self.world.wait(seconds)
        ACTIONS[name][0](self.world, Random(seed))

    @precondition(lambda self: len(self.world.batches) > 200)
    @rule(seed=st.integers(0, 1 << 32))
    def shut_down(self, seed: int) -> None:
        self.world.shut_down(Random(seed))
        self.is_over = True

    def teardown(self) -> None:
        self.world.check_steps()


Exchange.TestCase.settings = settings(max_examples=24, stateful_step_count=100)
TestInvariants = Exchange.TestCase
