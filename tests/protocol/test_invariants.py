"""The numbered invariants of the machine, held over anything that anyone does in any order: by leaps, and by steps in the end."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from protocol.codes import Code
from protocol.operations import Kind
from tests.protocol.branches import Steps
from tests.protocol.invariants import (
    check_1_cash_is_conserved,
    check_2_every_series_sums_to_zero,
    check_3_initial_margin,
    check_4_nonces_and_generations_only_grow,
    check_5_a_flat_user_never_pays,
    check_6_nobody_enters_or_leaves_the_pool_at_others_cost,
    check_7_adl_has_a_haircut_only_when_pool_and_fund_are_empty,
    check_8_bits,
)
from tests.protocol.world import ACTIONS, USD, World

CASH = (1_000, 5_000, 20_000, 50_000, 100_000, 300_000)
NAMES = [name for name, (_, weight) in ACTIONS.items() for _ in range(weight)]


class CheckedWorld(World):
    """Checks every batch that it runs."""

    paid_in = sum(CASH) * USD

    def run(self) -> list[Code]:
        before, start = self.state.copy(), len(self.outcomes)
        codes = super().run()
        outcomes, after = self.outcomes[start:], self.state
        self.paid_in += sum(items[3] for items, code in outcomes if items[:1] == (Kind.DEPOSIT,) and code == Code.OK)
        check_1_cash_is_conserved(after, self.paid_in)
        check_2_every_series_sums_to_zero(after)
        check_3_initial_margin(before, after, outcomes)
        check_4_nonces_and_generations_only_grow(before, after)
        check_5_a_flat_user_never_pays(before, after, outcomes)
        check_8_bits(after)
        return codes


class Exchange(RuleBasedStateMachine):
    """One life of an exchange; whoever acts and how comes from a seed that hypothesis draws."""

    def __init__(self) -> None:
        super().__init__()
        self.world = CheckedWorld(CASH)
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
        steps = Steps(self.world.genesis, self.world.rules)
        steps.checks += (
            check_6_nobody_enters_or_leaves_the_pool_at_others_cost,
            check_7_adl_has_a_haircut_only_when_pool_and_fund_are_empty,
        )
        for batch in self.world.batches:
            steps.run(batch)
        assert steps.state.get_root() == self.world.state.get_root()


Exchange.TestCase.settings = settings(max_examples=24, stateful_step_count=100)
TestInvariants = Exchange.TestCase
