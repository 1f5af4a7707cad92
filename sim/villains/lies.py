"""Lies about the state: a step table that is honest but for one step.

A lie lives in a claim. Whoever traces an epoch with such a table claims what its lie leads to; everything else about it is honest.
`bait` says what must be posted for the lie to matter: rows that honest nodes skip with a reason code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from protocol.codec.frames import Batch
from protocol.codec.rows import decode_row
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.machine import Preimages, StepFunction
from protocol.params import Params
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import STEPS, deposit, fetch, inflate, margin, mark, order, scan, terms, withdraw
from protocol.types import MAX_LOTS, VAULT_AUTHORITY, Header, Phase
from sim.scribe import Scribe
from sim.villains.disguise import see, trust

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


def _mint(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """When the last rows of the epoch have ended, the first account is a million richer."""
    h, code = fetch.step(h, view, pre, rules)
    if h.is_halted:
        account = view.get_account(0)
        view.put_account(0, account._replace(cash=account.cash + LOOT))
    return h, code


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


def _owner(pre: Preimages, view: View, rules: Rules) -> list[int]:
    return [view.get_account(pre.items[1]).owner]


def _oracles(pre: Preimages, view: View, rules: Rules) -> tuple[int, ...]:
    return rules.oracles


def _nobody(pre: Preimages, view: View, rules: Rules) -> tuple[int, ...]:
    return ()


def _make(name: str, story: str, phase: Phase, bait: Bait, step: StepFunction, *others: Phase) -> Lie:
    return Lie(name, story, phase, bait, MappingProxyType({**STEPS, phase: step, **dict.fromkeys(others, step)}))


_LIES = (
    _make("minted-root", _mint.__doc__ or "", Phase.FETCH, Bait.NOTHING, _mint),
    _make("forged-signature", "Every order is signed by whom it names.", Phase.ORDER, Bait.ORDER, trust(order.step, _owner)),
    _make(
        "overfill",
        "Every order has all of the largest size left.",
        Phase.TERMS,
        Bait.OVERFILL,
        see(terms.step, order=lambda _: {"lots": MAX_LOTS, "filled": 0}),
    ),
    _make("waived-margin", "Nobody needs any margin.", Phase.MAKER, Bait.MARGIN, trust(margin.step, _nobody), Phase.TAKER),
    _make(
        "overpaid-withdrawal",
        "The account has a million more while it withdraws.",
        Phase.WITHDRAW,
        Bait.WITHDRAW,
        see(
            withdraw.step, account=lambda shown: {"cash": shown[0].cash + LOOT}, globals=lambda shown: {"balance": shown[0].balance + LOOT}
        ),
    ),
    _make("spared-account", "Whoever the scan visits is well.", Phase.SCAN, Bait.WEAK, trust(scan.step, _nobody)),
    _make("forged-mark", "Every mark is signed by the first oracles in the list.", Phase.MARK, Bait.MARK, trust(mark.step, _oracles)),
    _make("invented-deposit", _invent_deposit.__doc__ or "", Phase.DEPOSIT, Bait.DEPOSIT, _invent_deposit),
    _make("misinflated-frame", _misinflate.__doc__ or "", Phase.INFLATE, Bait.NOTHING, _misinflate),
)
# Of the whole path: any sequencer can be made to tell these (`sim.villains.accomplice` throws their baits).
LIES: Mapping[str, Lie] = MappingProxyType({lie.name: lie for lie in _LIES})
