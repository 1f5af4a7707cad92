"""Quotes of a page, read as orders. Twin: contracts/lib/quotes.vy.

A TRADE names a side of a quote by `ref`, from 1 on: 1 + 2 * quote for its bid, one more for its ask; 0 is no quote.
"""

from protocol.legs import pack_plain
from protocol.series import encode_series
from protocol.types import MAX_QUOTES, POST_ONLY, Order, Page

MAX_REF = 2 * MAX_QUOTES


def has_quote(page: Page, ref: int) -> bool:
    """Whether the page has the quote that `ref` (not 0) names."""
    return (ref - 1) >> 1 < len(page.quotes)


def get_quote_order(page: Page, ref: int) -> Order:
    """A side of a quote that the page has, as a plain post-only order with what both the side and the page have left."""
    quote, is_ask = page.quotes[(ref - 1) >> 1], (ref - 1) & 1
    price, lots, filled = (quote.ask, quote.ask_lots, quote.ask_filled) if is_ask else (quote.bid, quote.bid_lots, quote.bid_filled)
    left = min(lots - filled, page.max_lots - page.filled)
    legs = pack_plain(encode_series(page.underlying, page.expiry, quote.strike, quote.is_call))
    return Order(page.nonce, page.generation, legs, 1 - is_ask, price, lots, page.valid_until, lots - left, POST_ONLY)


def fill_quote(page: Page, ref: int, lots: int) -> Page:
    """The page after a trade."""
    at, is_ask = (ref - 1) >> 1, (ref - 1) & 1
    quote = page.quotes[at]
    quote = quote._replace(ask_filled=quote.ask_filled + lots) if is_ask else quote._replace(bid_filled=quote.bid_filled + lots)
    return page._replace(filled=page.filled + lots, quotes=(*page.quotes[:at], quote, *page.quotes[at + 1 :]))
