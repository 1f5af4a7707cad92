"""MARK: the oracles' index, forwards and surface of one underlying; then the scan. Twin: contracts/steps/mark.vy."""

from protocol.breaker import is_halted, observe
from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.machine import Preimages, next_row, open_scan
from protocol.operations import MARK_HEAD, SLICE_ITEMS
from protocol.quorum import check_quorum, get_quorum_inputs
from protocol.rules import Rules
from protocol.signing import compute_mark_digest
from protocol.state import View
from protocol.types import MAX_FORWARD, MAX_SLICES, UNDERLYINGS, Globals, Header, Market, Mode, Slice, Sweep

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes", "bytes")  # items, chunk hashes, the chunk of the first signature, the one after it
TOUCHES = ("globals", "markets")
NANO = 1_000_000_000
MAX_PARAMETER = 64 * NANO
TIME_BITS = 40


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row, and where its signatures are."""
    return (pre.items, *get_quorum_inputs(h, pre))


def compute_digest(items: tuple[int, ...], rules: Rules) -> bytes:
    """What the quorum signs."""
    _, underlying, previous, time, index = items[:MARK_HEAD]
    return compute_mark_digest(rules.domain, underlying, previous, time, index, items[MARK_HEAD:])


def decode_slices(items: tuple[int, ...]) -> tuple[Slice, ...]:
    """The row's slices as they will stand in the market."""
    slices = []
    for at in range(MARK_HEAD, len(items), SLICE_ITEMS):
        expiry, forward, *shape = items[at : at + SLICE_ITEMS]
        slices.append(Slice(expiry, forward, *map(decode_zigzag, shape)))
    return tuple(slices)


def is_slice_bounded(s: Slice) -> bool:
    """What the surface can be computed for without a clamp that would change it."""
    return (
        0 < s.forward <= MAX_FORWARD
        and abs(s.a) <= MAX_PARAMETER
        and 0 <= s.b <= MAX_PARAMETER
        and abs(s.rho) < NANO
        and abs(s.m) <= MAX_PARAMETER
        and 0 <= s.sigma <= MAX_PARAMETER
    )


def check_time(g: Globals, market: Market, previous: int, time: int, rules: Rules) -> Code:
    """A mark names its predecessor, so none can be left out; after ten minutes without one it need not. One more follows a shutdown."""
    if time > g.clock or time >> TIME_BITS:
        return Code.MARK_TIME
    if g.shutdown:
        return Code.OK if time == g.shutdown and time > market.mark_time else Code.MARK_TIME
    if previous == market.mark_time and time >= market.mark_time + rules.params.mark_gap_s:
        return Code.OK
    if time >= market.mark_time + rules.params.mark_resync_s:
        return Code.OK
    return Code.MARK_TIME


def close_slice(item: Slice, index_price: int) -> Slice:
    """The first mark at or after expiry says where the market closed."""
    return item if item.close else item._replace(close=index_price)


def merge_slices(market: Market, time: int, index_price: int, new: tuple[Slice, ...]) -> tuple[Slice, ...] | None:
    """Expired slices are kept as they are until they settle; all others come from the mark. None where the mark does not fit."""
    last = time
    for item in new:
        if item.expiry <= last or item.expiry >> TIME_BITS or not is_slice_bounded(item):
            return None
        last = item.expiry
    expiries = {item.expiry for item in new}
    kept = tuple(close_slice(item, index_price) for item in market.slices if item.expiry <= time)
    if any(item.expiry > time and item.expiry not in expiries for item in market.slices):
        return None
    return kept + new if len(kept) + len(new) <= MAX_SLICES else None


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A mark that applies opens the mandatory scan; not after a shutdown, when nothing is liquidated any more."""
    _, underlying, previous, time, index = pre.items[:MARK_HEAD]
    before = h
    h = next_row(h)._replace(signature=h.signature + rules.params.quorum)
    # READ
    g = view.get_globals()
    markets = view.get_markets()
    # CHECK
    if underlying >= len(UNDERLYINGS):
        return h, Code.SERIES
    market = markets[underlying]
    code = check_quorum(before, pre, compute_digest(pre.items, rules), rules)
    if code == Code.OK:
        code = check_time(g, market, previous, time, rules)
    if code != Code.OK:
        return h, code
    slices = merge_slices(market, time, index, decode_slices(pre.items))
    if slices is None or not 0 < index <= MAX_FORWARD:
        return h, Code.MARK_SHAPE
    # COMPUTE
    fresh = observe(market, time, index, rules.params)._replace(index_price=index, mark_time=time, slices=slices)
    markets = (fresh, markets[1]) if underlying == 0 else (markets[0], fresh)
    is_counted = not any(is_halted(each, g.clock) for each in markets)
    is_scanned = g.accounts > 0 and g.shutdown == 0
    # WRITE
    view.put_markets(markets)
    view.put_globals(g._replace(marks=g.marks + is_counted, slots_equity=0 if is_scanned else g.slots_equity))
    return (open_scan(h, pre, Sweep(mode=Mode.FLAG)) if is_scanned else h), Code.OK
