"""WITHDRAW: moves free cash to the outbox, from where L1 pays it. Twin: contracts/steps/withdraw.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.margin import is_stale
from protocol.operations import FLAG_AUTHORITY
from protocol.rules import Rules
from protocol.signing import compute_withdraw_digest, get_signature
from protocol.state import View
from protocol.steps.order import NONCE_BITS, get_signature_inputs
from protocol.types import Account, Globals, Header, Market

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
MIN_WITHDRAWAL = 1_000_000  # 1e-6 USD: a place in the outbox is taken for ever, and so costs its owner this much
TOUCHES = ("globals", "holder", "markets", "outbox")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def compute_free(a: Account, markets: tuple[Market, Market], rules: Rules) -> int:
    """What may leave: cash, and with shorts no more than what equity exceeds the initial margin by."""
    margin = rules.kernel.compute_margin(a.cash, a.positions, markets)
    return min(a.cash, margin.equity - margin.initial) if margin.has_short else a.cash


def check(a: Account, g: Globals, markets: tuple[Market, Market], rules: Rules) -> Code:
    """Whether the account may withdraw at all now."""
    if a.flag:
        return Code.FLAGGED
    has_short = any(lots < 0 for _, lots in a.positions)
    if has_short and is_stale(a.positions, markets, g.clock, rules.params.mark_max_age_s):
        return Code.STALE
    return Code.OK


def compute_paid(a: Account, amount: int, markets: tuple[Market, Market], rules: Rules) -> int:
    """At most what is free; nothing where that is below the minimum, unless it is all of the account's cash: the last cent may leave."""
    paid = min(amount, compute_free(a, markets, rules))
    return 0 if paid < MIN_WITHDRAWAL and paid != a.cash else max(paid, 0)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Pays min(amount, free), so that one unit of change in between does not void a forced withdrawal."""
    tag, index, amount, nonce = pre.items
    by_authority = tag >> 4 == FLAG_AUTHORITY
    signature = get_signature(pre.signatures, h.signature)
    h = next_row(h) if by_authority else next_row(h)._replace(signature=h.signature + 1)
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return h, Code.ACCOUNT
    a = view.get_account(index)
    markets = view.get_markets()
    # CHECK
    if nonce <= a.nonce or nonce >> NONCE_BITS:
        return h, Code.NONCE
    if by_authority and h.authority != a.owner:
        return h, Code.AUTHORITY
    if not by_authority and rules.kernel.get_signer(compute_withdraw_digest(rules.domain, index, amount, nonce), signature) != a.owner:
        return h, Code.SIGNATURE
    code = check(a, g, markets, rules)
    if code != Code.OK:
        return h, code
    # COMPUTE
    paid = compute_paid(a, amount, markets, rules)
    if paid == 0 or g.outbox >> rules.params.outbox_depth:
        return h, Code.NOTHING_FREE
    # WRITE
    view.put_globals(g._replace(outbox=g.outbox + 1))
    view.put_account(index, a._replace(cash=a.cash - paid, nonce=nonce))
    view.append_outbox(g.outbox, a.owner, paid)
    return h, Code.OK
