# pragma version ~=0.4.3
"""
@title Quotes of a page, read as orders
@dev Twin of protocol/quotes.py. A TRADE names a side of a quote by `ref`, from 1 on: 1 + 2 * quote for its bid, one more for its ask; 0 is no
     quote. A packed quote (types.encode_quote) is, from the top: strike 48 bits, call 1, bid 37, bid lots 21, ask 37, ask lots 21, bid
     filled 21, ask filled 21.
"""

from . import legs
from . import types

MAX_REF: constant(uint256) = 32
POST_ONLY: constant(uint256) = 1
LOTS_BITS: constant(uint256) = 21
LOTS_MASK: constant(uint256) = 2**21 - 1
PRICE_MASK: constant(uint256) = 2**37 - 1
SIDE_BITS: constant(uint256) = 58  # a price and its lots
ASK: constant(uint256) = 42  # where it starts
KIND: constant(uint256) = 158

@internal
@pure
def _pack(strike: uint256, is_call: uint256, sides: uint256[4]) -> uint256:
    """
    @notice Without fills. `sides`: bid, bid_lots, ask, ask_lots.
    """
    word: uint256 = (strike << 1) | is_call
    word = (((word << 37) | sides[0]) << LOTS_BITS) | sides[1]
    return ((((word << 37) | sides[2]) << LOTS_BITS) | sides[3]) << ASK

@internal
@pure
def _has_quote(page: types.Page, ref: uint256) -> bool:
    """
    @notice Whether the page has the quote that `ref` (not 0) names: no strike is zero.
    """
    return page.quotes[(ref - 1) >> 1] != 0

@internal
@pure
def _get_quote_order(page: types.Page, ref: uint256) -> types.Order:
    """
    @notice A side of a quote that the page has, as a plain post-only order with what both the side and the page have left.
    """
    word: uint256 = page.quotes[(ref - 1) >> 1]
    is_ask: uint256 = (ref - 1) & 1
    start: uint256 = ASK if is_ask == 1 else ASK + SIDE_BITS
    lots: uint256 = (word >> start) & LOTS_MASK
    filled: uint256 = (word >> (LOTS_BITS * (1 - is_ask))) & LOTS_MASK
    left: uint256 = min(lots - filled, page.max_lots - page.filled)
    series: uint256 = (page.underlying << 89) | (page.expiry << 49) | (word >> KIND)
    return types.Order(
        nonce=page.nonce,
        generation=page.generation,
        legs=[legs._pack(series, 1), 0, 0, 0],
        is_buy=1 - is_ask,
        price=convert((word >> (start + LOTS_BITS)) & PRICE_MASK, int256),
        lots=lots,
        valid_until=page.valid_until,
        filled=lots - left,
        flags=POST_ONLY,
        fee_cap=0,
    )

@internal
@pure
def _fill_quote(page: types.Page, ref: uint256, lots: uint256) -> types.Page:
    """
    @notice The page after a trade.
    """
    p: types.Page = page
    p.filled += lots
    p.quotes[(ref - 1) >> 1] += lots << (LOTS_BITS * (1 - ((ref - 1) & 1)))
    return p
