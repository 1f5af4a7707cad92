"""A world that checks every numbered invariant: after each batch, and around each of its steps."""

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
from tests.protocol.world import USD, World

CASH = (1_000, 5_000, 20_000, 50_000, 100_000, 300_000)


class CheckedWorld(World):
    """Checks every batch that it runs, by leaps; and by steps, when it is told to."""

    def __init__(self) -> None:
        super().__init__(CASH)
        self.paid_in = sum(CASH) * USD
        self.steps = Steps(self.genesis, self.rules)
        self.steps.checks += (
            check_6_nobody_enters_or_leaves_the_pool_at_others_cost,
            check_7_adl_has_a_haircut_only_when_pool_and_fund_are_empty,
        )

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

    def check_steps(self) -> None:
        """Of the batches since the last time."""
        for batch in self.batches:
            self.steps.run(batch)
        self.batches.clear()
        assert self.steps.state.get_root() == self.state.get_root()
