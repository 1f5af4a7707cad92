"""SETTLE: the price at which an expiry pays; then the scan that pays it. Twin: contracts/steps/settle.vy."""

from protocol.codes import Code
from protocol.fixed_point import mod
from protocol.machine import Preimages, next_row, open_scan
from protocol.margin import get_slice
from protocol.operations import FLAG_FALLBACK
from protocol.quorum import check_quorum, get_quorum_inputs
from protocol.rules import Rules
from protocol.series import EXPIRY_BITS
from protocol.signing import compute_settle_digest
from protocol.state import View
from protocol.sweeps.settle import drop_slice
from protocol.types import LOTS_PER_UNIT, MAX_FORWARD, UNDERLYINGS, Globals, Header, Mode, Slice, Sweep

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes", "bytes")  # items, chunk hashes, the chunk of the first signature, the one after it
TOUCHES = ("globals", "markets")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row, and where its signatures are."""
    return (pre.items, *get_quorum_inputs(h, pre))


def round_price(price: int) -> int:
    """Down to a multiple of 1e-4 USD, so that a lot pays whole micro-dollars; never to nothing."""
    return max(price - mod(price, LOTS_PER_UNIT), LOTS_PER_UNIT)


def compute_price(g: Globals, item: Slice, price: int, is_fallback: bool, rules: Rules) -> tuple[int, Code]:
    """What the expiry settles at: the oracles' average; without it, a day later where the market closed, a week later the last forward."""
    if not is_fallback:
        is_whole = 0 < price <= MAX_FORWARD and mod(price, LOTS_PER_UNIT) == 0
        return price, Code.OK if is_whole else Code.PRICE
    if price:
        return 0, Code.PRICE
    if item.close and g.clock >= item.expiry + rules.params.settle_first_s:
        return round_price(item.close), Code.OK
    if g.clock >= item.expiry + rules.params.settle_last_s:
        return round_price(item.close or item.forward), Code.OK
    return 0, Code.SETTLE_TIME


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Opens the scan that finds what is owed; without accounts nothing is, and the expiry goes at once."""
    tag, underlying, expiry, price = pre.items
    is_fallback = tag >> 4 == FLAG_FALLBACK
    before = h
    h = next_row(h)._replace(signature=h.signature + (0 if is_fallback else rules.params.quorum))
    # READ
    g = view.get_globals()
    markets = view.get_markets()
    # CHECK
    if underlying >= len(UNDERLYINGS):
        return h, Code.SERIES
    digest = compute_settle_digest(rules.domain, underlying, expiry, price)
    if not is_fallback and check_quorum(before, pre, digest, rules) != Code.OK:
        return h, Code.QUORUM
    item = get_slice(markets[underlying], expiry)
    if item is None:
        return h, Code.SERIES
    if g.clock < expiry:
        return h, Code.SETTLE_TIME
    price, code = compute_price(g, item, price, is_fallback, rules)
    if code != Code.OK:
        return h, code
    # WRITE
    if g.accounts:
        sweep = Sweep(mode=Mode.SETTLE_TALLY, listing=underlying << EXPIRY_BITS | expiry, price=price)
        return open_scan(h, pre, sweep), Code.OK
    rest = drop_slice(markets[underlying], expiry)
    view.put_markets((rest, markets[1]) if underlying == 0 else (markets[0], rest))
    return h, Code.OK
