"""MARK: the oracles' index, forwards and surface of one underlying; then the scan. Twin: contracts/steps/mark.vy."""

from protocol.codec.frames import compute_chunk_hashes, compute_signature_chunks
from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.operations import MARK_HEAD, SLICE_ITEMS
from protocol.rules import Rules
from protocol.signing import compute_mark_digest, get_signature
from protocol.state import View
from protocol.types import MAX_FORWARD, MAX_SLICES, UNDERLYINGS, Globals, Header, Market, Phase, Slice

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes", "bytes")  # items, chunk hashes, the chunk of the first signature, the one after it
TOUCHES = ("globals", "markets")
NANO = 1_000_000_000
MAX_PARAMETER = 64 * NANO
TIME_BITS = 40


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row, and the two chunks that the quorum's signatures can be in."""
    chunks = [*compute_signature_chunks(pre.signatures), b"", b""]
    at = min(h.signature >> 5, len(chunks) - 2)
    return pre.items, compute_chunk_hashes(pre.signatures), chunks[at], chunks[at + 1]


def check_quorum(items: tuple[int, ...], signatures: list[bytes | None], rules: Rules) -> Code:
    """Signers ascend in the oracles' list, so that they are distinct."""
    _, underlying, previous, time, index = items[:MARK_HEAD]
    digest = compute_mark_digest(rules.domain, underlying, previous, time, index, items[MARK_HEAD:])
    place = -1
    for signature in signatures:
        signer = rules.kernel.get_signer(digest, signature)
        if signer == 0 or signer not in rules.oracles or rules.oracles.index(signer) <= place:
            return Code.QUORUM
        place = rules.oracles.index(signer)
    return Code.OK


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
    """A mark names its predecessor, so none can be left out; after ten minutes without one it need not."""
    if time > g.clock or time >> TIME_BITS:
        return Code.MARK_TIME
    if previous == market.mark_time and time >= market.mark_time + rules.params.mark_gap_s:
        return Code.OK
    if time >= market.mark_time + rules.params.mark_resync_s:
        return Code.OK
    return Code.MARK_TIME


def merge_slices(market: Market, time: int, new: tuple[Slice, ...]) -> tuple[Slice, ...] | None:
    """Expired slices are kept as they are until they settle; all others come from the mark. None where the mark does not fit."""
    last = time
    for item in new:
        if item.expiry <= last or item.expiry >> TIME_BITS or not is_slice_bounded(item):
            return None
        last = item.expiry
    expiries = {item.expiry for item in new}
    kept = tuple(item for item in market.slices if item.expiry <= time)
    if any(item.expiry > time and item.expiry not in expiries for item in market.slices):
        return None
    return kept + new if len(kept) + len(new) <= MAX_SLICES else None


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A mark that applies opens the mandatory scan."""
    _, underlying, previous, time, index = pre.items[:MARK_HEAD]
    quorum = rules.params.quorum
    signatures = [get_signature(pre.signatures, h.signature + i) for i in range(quorum)]
    h = next_row(h)._replace(signature=h.signature + quorum)
    # READ
    g = view.get_globals()
    markets = view.get_markets()
    # CHECK
    if underlying >= len(UNDERLYINGS):
        return h, Code.SERIES
    market = markets[underlying]
    code = check_quorum(pre.items, signatures, rules)
    if code == Code.OK:
        code = check_time(g, market, previous, time, rules)
    if code != Code.OK:
        return h, code
    slices = merge_slices(market, time, decode_slices(pre.items))
    if slices is None or not 0 < index <= MAX_FORWARD:
        return h, Code.MARK_SHAPE
    # WRITE
    fresh = Market(index, time, slices)
    view.put_markets((fresh, markets[1]) if underlying == 0 else (markets[0], fresh))
    view.put_globals(g._replace(marks=g.marks + 1, cursor=0))
    return (h._replace(phase=Phase.SCAN) if g.accounts else h), Code.OK
