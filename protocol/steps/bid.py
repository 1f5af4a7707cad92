"""BID: the first step of a bid for positions of a flagged account, which checks everything but margin. Twin: contracts/steps/bid.vy."""

from protocol.auction import compute_price
from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.legs import Leg, compute_signed_legs, decode_legs, pack_leg
from protocol.machine import Preimages
from protocol.margin import get_slice, is_stale
from protocol.operations import BID_HEAD
from protocol.positions import get_lots
from protocol.rules import Rules
from protocol.series import EXPIRY_BITS, decode_series
from protocol.sessions import check_authority, end_row, is_valid_nonce
from protocol.signing import compute_bid_digest
from protocol.state import View
from protocol.steps.order import get_signature_inputs
from protocol.types import MAX_LOTS, SCOPE_TRADE, Account, Globals, Header, Market, Phase, Trade, compute_trade_hash

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account", "holder", "markets")
LIMIT_BITS = 64


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def check_terms(items: tuple[int, ...], g: Globals, bidder: Account) -> tuple[tuple[Leg, ...], Code]:
    """The row by itself, without its signature; and its legs. One ratio is 1, so that a unit cannot be made larger than need be."""
    _, _, _, units, limit, nonce, valid_until = items[:BID_HEAD]
    if not is_valid_nonce(bidder, nonce):
        return (), Code.NONCE
    if valid_until < g.clock or valid_until >> EXPIRY_BITS:
        return (), Code.EXPIRED
    legs, code = decode_legs(items[BID_HEAD:])
    if code != Code.OK:
        return (), code
    if all(abs(ratio) != 1 for _, ratio in legs):
        return (), Code.LEGS
    if units == 0 or units > MAX_LOTS or limit >> LIMIT_BITS:
        return (), Code.LOTS
    return legs, Code.OK


def compute_digest(items: tuple[int, ...], legs: tuple[Leg, ...], rules: Rules) -> bytes:
    """What the bidder signed."""
    _, account, target, units, limit, nonce, valid_until = items[:BID_HEAD]
    terms = (units, decode_zigzag(limit), nonce, valid_until)
    return compute_bid_digest(rules.domain, account, target, compute_signed_legs(legs), terms)


def check_target(target: Account, legs: tuple[Leg, ...], units: int, markets: tuple[Market, Market], clock: int, max_age: int) -> Code:
    """Whether these units are the target's to lose, and have a price now: nobody asks the target whether it likes an old one."""
    if target.flag == 0:
        return Code.NOT_FLAGGED
    for series, ratio in legs:
        lots = get_lots(target.positions, series)
        if ratio * lots <= 0 or abs(ratio) * units > abs(lots):
            return Code.BID_SIZE
    for series, _ in legs:
        underlying, expiry, _, _ = decode_series(series)
        if clock >= expiry or get_slice(markets[underlying], expiry) is None:
            return Code.SERIES
    return Code.STALE if is_stale(legs, markets, clock, max_age) else Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Takes the next signature and writes nothing: the trade goes on to its margin steps in the scratch."""
    tag, index, target_index, units, limit, nonce, _ = pre.items[:BID_HEAD]
    before, h = h, end_row(h, tag)
    # READ
    g = view.get_globals()
    if index >= g.accounts or target_index >= g.accounts:
        return h, Code.ACCOUNT
    if index == target_index:
        return h, Code.SELF_TRADE
    bidder, target = view.get_account(index), view.get_account(target_index)
    markets = view.get_markets()
    # CHECK
    if bidder.owner == target.owner:
        return h, Code.SELF_TRADE
    legs, code = check_terms(pre.items, g, bidder)
    if code == Code.OK:
        code = check_authority(before, pre, g, bidder, nonce, compute_digest(pre.items, legs, rules), SCOPE_TRADE, rules)
    if code == Code.OK:
        code = check_target(target, legs, units, markets, g.clock, rules.params.mark_max_age_s)
    if code != Code.OK:
        return h, code
    # COMPUTE
    price = compute_price(legs, g.marks - target.flag, markets, rules.kernel)
    if price > decode_zigzag(limit):
        return h, Code.LIMIT
    margin = rules.kernel.compute_margin(target.cash, target.positions, markets)
    packed = tuple(pack_leg(series, ratio) for series, ratio in legs)
    pre.trade = Trade(
        target_index, 0, index, 0, packed, -units, price, 0, equity=margin.equity, maintenance=margin.maintenance, nonce=nonce
    )
    return h._replace(phase=Phase.BIDDER, scratch=compute_trade_hash(pre.trade)), Code.OK
