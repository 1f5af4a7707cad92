"""WITHDRAW: moves free cash to the outbox, from where L1 pays it. Twin: contracts/steps/withdraw.vy."""

from protocol.codes import Code
from protocol.free_cash import compute_free
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.sessions import check_authority, end_row, is_valid_nonce
from protocol.signing import compute_withdraw_digest
from protocol.state import View
from protocol.steps.order import get_signature_inputs
from protocol.types import SCOPE_WITHDRAW, Account, Header

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
MIN_WITHDRAWAL = 1_000_000  # 1e-6 USD: a place in the outbox is taken for ever, and so costs its owner this much
TOUCHES = ("globals", "holder", "markets", "outbox")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def compute_paid(a: Account, amount: int, free: int, balance: int) -> int:
    """At most what is free, and what L1 holds; nothing below the minimum, unless it is all of the account's cash: the last cent may leave.

    All in 1e-6 USD, none of them negative.
    """
    paid = min(amount, free, balance)
    return 0 if paid < MIN_WITHDRAWAL and paid != a.cash else paid


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Pays the owner, whoever signed, min(amount, free): one unit of change in between does not void a forced withdrawal."""
    tag, index, amount, nonce = pre.items
    after = end_row(h, tag)
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return after, Code.ACCOUNT
    a = view.get_account(index)
    markets = view.get_markets()
    # CHECK
    if not is_valid_nonce(a, nonce):
        return after, Code.NONCE
    code = check_authority(h, pre, g, a, nonce, compute_withdraw_digest(rules.domain, index, amount, nonce), SCOPE_WITHDRAW, rules)
    if code != Code.OK:
        return after, code
    # COMPUTE
    free, code = compute_free(a, g, markets, rules)
    if code != Code.OK:
        return after, code
    paid = compute_paid(a, amount, free, g.balance)
    if paid == 0 or g.outbox >> rules.params.outbox_depth:
        return after, Code.NOTHING_FREE
    # WRITE
    view.put_globals(g._replace(outbox=g.outbox + 1, balance=g.balance - paid))
    view.put_account(index, a._replace(cash=a.cash - paid, nonce=nonce))
    view.append_outbox(g.outbox, a.owner, paid)
    return after, Code.OK
