"""How a step lies: it is the honest step, but looks at something that is not so. Whatever it writes, it writes to the real state."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from protocol.codes import Code
from protocol.kernel import ReferenceKernel, SideRisk
from protocol.machine import Preimages, StepFunction
from protocol.margin import Margin
from protocol.rules import Rules
from protocol.state import View
from protocol.types import Account, Globals, Header, Market, Order, Page, Phase, Position, Sweep

Change = Callable[[Any], dict[str, Any]]


def _carry_over(honest: Any, shown: Any, written: Any) -> Any:
    if isinstance(honest, int):
        return honest + written - shown
    return honest if written == shown else written


class BlindKernel(ReferenceKernel):
    """Takes every signature for that of the next in `signers`, and every account for one without risk."""

    def __init__(self, *signers: int) -> None:
        self._signers = iter(signers)

    def get_signer(self, digest: bytes, signature: bytes | None) -> int:
        return next(self._signers)

    def compute_margin(self, cash: int, positions: Sequence[Position], markets: Sequence[Market]) -> Margin:
        return Margin(0, 0, 0, True, cash)

    def compute_side(self, index: int, before: Account, after: Account, legs: Sequence[int], markets: Sequence[Market]) -> SideRisk:
        return SideRisk(self.compute_margin(before.cash, (), ()), self.compute_margin(after.cash, (), ()), True, frozenset())


class Disguise:
    """A view in which some structs have other fields. What the step adds to a number that it saw falsely is added to the true one."""

    def __init__(self, view: View, **changes: Change) -> None:
        self._view = view
        self._changes = changes
        self.params = view.params

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def _show(self, what: str, honest: Any, *place: int) -> Any:
        change = self._changes.get(what)
        return honest if change is None else honest._replace(**change((honest, *place)))

    def _restore(self, what: str, written: Any, honest: Any, *place: int) -> Any:
        change = self._changes.get(what)
        if change is None:
            return written
        fields = {
            name: _carry_over(getattr(honest, name), value, getattr(written, name)) for name, value in change((honest, *place)).items()
        }
        return written._replace(**fields)

    def get_globals(self) -> Globals:
        shown: Globals = self._show("globals", self._view.get_globals())
        return shown

    def put_globals(self, value: Globals) -> None:
        self._view.put_globals(self._restore("globals", value, self._view.get_globals()))

    def get_markets(self) -> tuple[Market, Market]:
        first, second = self._view.get_markets()
        return self._show("market", first, 0), self._show("market", second, 1)

    def get_account(self, index: int) -> Account:
        shown: Account = self._show("account", self._view.get_account(index), index)
        return shown

    def put_account(self, index: int, value: Account) -> None:
        self._view.put_account(index, self._restore("account", value, self._view.get_account(index), index))

    def get_order(self, index: int, slot: int) -> Order:
        shown: Order = self._show("order", self._view.get_order(index, slot), index)
        return shown

    def put_order(self, index: int, slot: int, value: Order) -> None:
        self._view.put_order(index, slot, self._restore("order", value, self._view.get_order(index, slot), index))

    def get_page(self, index: int, slot: int) -> Page:
        shown: Page = self._show("page", self._view.get_page(index, slot), index)
        return shown


def see(step: StepFunction, **changes: Change) -> StepFunction:
    """The step sees globals, market, account, order or page otherwise. A change gets (struct, where...) and gives fields."""

    def lie(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        return step(h, Disguise(view, **changes), pre, rules)

    return lie


def believe(step: StepFunction, **params: Any) -> StepFunction:
    """The step goes by other parameters."""

    def lie(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        return step(h, view, pre, replace(rules, params=replace(rules.params, **params)))

    return lie


def trust(step: StepFunction, find_signers: Callable[[Preimages, View, Rules], Sequence[int]]) -> StepFunction:
    """The step takes signatures for those of whoever should have signed."""

    def lie(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        return step(h, view, pre, replace(rules, kernel=BlindKernel(*find_signers(pre, view, rules))))

    return lie


def waive(step: StepFunction, code: Code, following: Phase) -> StepFunction:
    """The step, which writes nothing, goes on where it should have said `code`."""

    def lie(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        after, said = step(h, view, pre, rules)
        return (h._replace(phase=following), Code.OK) if said == code else (after, said)

    return lie


def mistake_trade(step: StepFunction, change: Change) -> StepFunction:
    """The step takes the checked trade for another."""

    def lie(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        honest = pre.trade
        assert honest is not None, "a trade is under way"
        pre.trade = honest._replace(**change(honest))
        after, code = step(h, view, pre, rules)
        pre.trade = honest
        return after, code

    return lie


def mistake_sweep(step: StepFunction, change: Callable[[Sweep], dict[str, Any]]) -> StepFunction:
    """The step takes the running scan for another."""

    def lie(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        pre.sweep = pre.sweep._replace(**change(pre.sweep))
        return step(h, view, pre, rules)

    return lie
