"""Lies about the state: a step table that is honest but for one step.

A lie lives in a claim. Whoever traces an epoch with such a table claims what its lie leads to; everything else about it is honest.
`bait` says what must be posted for the lie to matter: rows that honest nodes skip with a reason code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from protocol.codec.frames import Batch
from protocol.codec.rows import decode_row
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.kernel import ReferenceKernel, SideRisk
from protocol.machine import Preimages, StepFunction
from protocol.margin import Margin
from protocol.params import Params
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import STEPS, deposit, fetch, inflate, margin, mark, order, scan, terms, withdraw
from protocol.types import MAX_LOTS, VAULT_AUTHORITY, Account, Header, Market, Order, Phase, Position
from sim.scribe import Scribe

LOOT = 1_000_000_000_000  # a million USD


class Bait(Enum):
    """What a villain must get into a batch for its lie to change anything."""

    NOTHING = "any batch will do"
    ORDER = "an order with somebody else's signature"
    OVERFILL = "a trade of two orders beyond what they have left"
    MARGIN = "a trade that one side's margin does not cover"
    WITHDRAW = "a withdrawal of more than the account's free cash"
    WEAK = "an account below its maintenance margin at a mark"
    MARK = "a mark without the oracles' signatures"
    DEPOSIT = "a deposit row in a frame"


MakeEpoch = Callable[[Params, bytes | None], tuple[Scribe, list[Batch]]]


@dataclass(frozen=True)
class Lie:
    """`phase` is the step whose proof refutes it. What must be posted for it to matter is its bait, or an epoch of its own, made for the
    parameters and the EIP-712 domain of a deployment."""

    name: str
    story: str
    phase: Phase
    bait: Bait
    steps: Mapping[Phase, StepFunction]
    epoch: MakeEpoch | None = None


class _BlindKernel(ReferenceKernel):
    """Takes every signature for that of the next in `signers`, and every account for one without risk."""

    def __init__(self, *signers: int) -> None:
        self._signers = iter(signers)

    def get_signer(self, digest: bytes, signature: bytes | None) -> int:
        return next(self._signers)

    def compute_margin(self, cash: int, positions: Sequence[Position], markets: Sequence[Market]) -> Margin:
        return Margin(0, 0, 0, True, cash)

    def compute_side(self, index: int, before: Account, after: Account, series: int, markets: Sequence[Market]) -> SideRisk:
        return SideRisk(self.compute_margin(before.cash, (), ()), self.compute_margin(after.cash, (), ()), True, frozenset())


class _Disguise:
    """A view that answers one question falsely; everything else is the view's own."""

    def __init__(self, view: View, **lies: Any) -> None:
        self._view = view
        self._lies = lies

    def __getattr__(self, name: str) -> Any:
        return self._lies.get(name) or getattr(self._view, name)


def _mint(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """When the last rows of the epoch have ended, the first account is a million richer."""
    h, code = fetch.step(h, view, pre, rules)
    if h.is_halted:
        account = view.get_account(0)
        view.put_account(0, account._replace(cash=account.cash + LOOT))
    return h, code


def _forge_signature(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Every order is signed by whom it names."""
    owner = view.get_account(pre.items[1]).owner
    return order.step(h, view, pre, replace(rules, kernel=_BlindKernel(owner)))


def _overfill(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Every order has all of the largest size left."""

    def get_order(index: int, slot: int) -> Order:
        return view.get_order(index, slot)._replace(lots=MAX_LOTS, filled=0)

    return terms.step(h, _Disguise(view, get_order=get_order), pre, rules)


def _waive_margin(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Nobody needs any margin."""
    return margin.step(h, view, pre, replace(rules, kernel=_BlindKernel()))


def _overpay(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The account has a million more while it withdraws."""

    def get_account(index: int) -> Account:
        account = view.get_account(index)
        return account._replace(cash=account.cash + LOOT)

    def put_account(index: int, value: Account) -> None:
        view.put_account(index, value._replace(cash=value.cash - LOOT))

    return withdraw.step(h, _Disguise(view, get_account=get_account, put_account=put_account), pre, rules)


def _spare(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Whoever the scan visits is well."""
    return scan.step(h, view, pre, replace(rules, kernel=_BlindKernel()))


def _forge_mark(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Every mark is signed by the first oracles in the list."""
    return mark.step(h, view, pre, replace(rules, kernel=_BlindKernel(*rules.oracles)))


def _invent_deposit(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Every deposit comes from the vault."""
    after, code = deposit.step(h._replace(authority=VAULT_AUTHORITY), view, pre, rules)
    return after._replace(authority=h.authority), code


def _misinflate(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A frame inflates to all of its rows but the first."""
    h, code = inflate.step(h, view, pre, rules)
    _, offset = decode_row(pre.rows, 0)
    pre.rows = pre.rows[offset:]
    return h._replace(rows=keccak(pre.rows)), code


def _make(name: str, phase: Phase, bait: Bait, step: StepFunction, *others: Phase) -> Lie:
    steps = MappingProxyType({**STEPS, phase: step, **dict.fromkeys(others, step)})
    return Lie(name, (step.__doc__ or "").strip(), phase, bait, steps)


_LIES = (
    _make("minted-root", Phase.FETCH, Bait.NOTHING, _mint),
    _make("forged-signature", Phase.ORDER, Bait.ORDER, _forge_signature),
    _make("overfill", Phase.TERMS, Bait.OVERFILL, _overfill),
    _make("waived-margin", Phase.MAKER, Bait.MARGIN, _waive_margin, Phase.TAKER),
    _make("overpaid-withdrawal", Phase.WITHDRAW, Bait.WITHDRAW, _overpay),
    _make("spared-account", Phase.SCAN, Bait.WEAK, _spare),
    _make("forged-mark", Phase.MARK, Bait.MARK, _forge_mark),
    _make("invented-deposit", Phase.DEPOSIT, Bait.DEPOSIT, _invent_deposit),
    _make("misinflated-frame", Phase.INFLATE, Bait.NOTHING, _misinflate),
)
# Of the whole path: any sequencer can be made to tell these (`sim.villains.accomplice` throws their baits).
LIES: Mapping[str, Lie] = MappingProxyType({lie.name: lie for lie in _LIES})
