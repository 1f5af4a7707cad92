"""POOL: asks to enter the backstop pool with cash, or to leave it with shares; a later scan does it. Twin: contracts/steps/pool.vy."""

from protocol.codes import Code
from protocol.free_cash import compute_free
from protocol.machine import Preimages
from protocol.operations import FLAG_LEAVE
from protocol.pool import MIN_ENTRY
from protocol.rules import Rules
from protocol.sessions import OWNER_ONLY, check_authority, end_row, is_valid_nonce
from protocol.signing import compute_pool_digest
from protocol.state import View, put_bit
from protocol.steps.order import get_signature_inputs
from protocol.types import Account, Bitmap, Globals, Header, Market

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "holder", "markets", "word", "word")  # the words of HOLDER and REQUEST


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def check_entry(a: Account, amount: int, g: Globals, markets: tuple[Market, Market], rules: Rules) -> Code:
    """Of `amount` (1e-6 USD), all of which must be free: an entry is not a way around the margin."""
    if amount < MIN_ENTRY:
        return Code.POOL
    free, code = compute_free(a, g, markets, rules)
    if code != Code.OK:
        return code
    return Code.OK if amount <= free else Code.NOTHING_FREE


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Cash leaves the account at once and waits as its request; shares stay until they are paid."""
    tag, index, amount, nonce = pre.items
    is_leaving = tag >> 4 & FLAG_LEAVE != 0
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
    code = check_authority(h, pre, g, a, nonce, compute_pool_digest(rules.domain, index, amount, nonce, is_leaving), OWNER_ONLY, rules)
    if code != Code.OK:
        return after, code
    if a.request != 0:
        return after, Code.POOL
    if is_leaving:
        code = Code.OK if 0 < amount <= a.shares else Code.POOL
    else:
        code = check_entry(a, amount, g, markets, rules)
    if code != Code.OK:
        return after, code
    # WRITE
    a = a._replace(nonce=nonce, request_time=g.clock)
    a = a._replace(request=-amount) if is_leaving else a._replace(cash=a.cash - amount, request=amount)
    view.put_globals(g._replace(requests=g.requests + 1))
    view.put_account(index, a)
    put_bit(view, Bitmap.HOLDER, index, True)
    put_bit(view, Bitmap.REQUEST, index, True)
    return after, Code.OK
