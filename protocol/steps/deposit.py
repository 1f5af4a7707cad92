"""DEPOSIT: L1 credits an account, and opens it the first time. Twin: contracts/steps/deposit.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.rules import Rules
from protocol.state import View
from protocol.types import MAX_CASH, POOL_OWNER, VAULT_AUTHORITY, Account, Globals, Header

ARGUMENTS = ("uint256[]",)  # items
TOUCHES = ("globals", "account")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row."""
    return (pre.items,)


def _check(h: Header, g: Globals, a: Account, index: int, owner: int, amount: int) -> Code:
    if index < g.accounts and a.owner != owner:
        return Code.ACCOUNT
    if owner in (0, POOL_OWNER) or owner >> 160:
        return Code.ACCOUNT
    if amount >= MAX_CASH or a.cash + amount >= MAX_CASH:
        return Code.CASH
    return Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Account indices are given out by L1, one after the other, so a new one is always the next."""
    _, index, owner, amount = pre.items
    # READ
    g = view.get_globals()
    if h.authority != VAULT_AUTHORITY:
        return next_row(h), Code.AUTHORITY
    if index > g.accounts or index >= rules.params.max_accounts:
        return next_row(h), Code.ACCOUNT
    a = view.get_account(index)
    # CHECK
    code = _check(h, g, a, index, owner, amount)
    if code != Code.OK:
        return next_row(h), code
    # WRITE
    if index == g.accounts:
        g = g._replace(accounts=g.accounts + 1)
        a = Account(owner=owner)
    view.put_globals(g._replace(balance=g.balance + amount))
    view.put_account(index, a._replace(cash=a.cash + amount))
    return next_row(h), Code.OK
