"""SHEET: registers a page of a sheet of two-way quotes, signed as a whole. Twin: contracts/steps/sheet.vy."""

from protocol.codes import Code
from protocol.legs import check_series
from protocol.machine import Preimages, next_row
from protocol.operations import PAGE_HEAD, QUOTE_ITEMS, SHEET_HEAD
from protocol.orders import PRICE_BITS, check_nonce, check_validity
from protocol.rules import Rules
from protocol.series import STRIKE_UNIT
from protocol.sessions import cap_validity, may_register
from protocol.signing import compute_page_hash, compute_sheet_digest, get_signature
from protocol.state import View
from protocol.steps.order import get_signature_inputs
from protocol.types import MAX_ACCOUNT_LOTS, MAX_LOTS, Account, Header, Page, TwoWay

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account", "entry")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def decode_page(items: tuple[int, ...]) -> Page:
    """The row's page: only what its owner wrote."""
    start = SHEET_HEAD + items[4] - 1
    underlying, expiry, max_lots = items[start : start + PAGE_HEAD]
    quotes = []
    for at in range(start + PAGE_HEAD, len(items), QUOTE_ITEMS):
        terms, *sides = items[at : at + QUOTE_ITEMS]
        quotes.append(TwoWay((terms >> 1) * STRIKE_UNIT, terms & 1, *sides))
    return Page(underlying=underlying, expiry=expiry, max_lots=max_lots, quotes=tuple(quotes))


def check_page(page: Page) -> Code:
    """Its head, then quote by quote; `STRIKE_UNIT` stands for a strike where there may be no quote."""
    if check_series(page.underlying, page.expiry, STRIKE_UNIT) != Code.OK:
        return Code.SERIES
    if page.max_lots >= MAX_ACCOUNT_LOTS:
        return Code.LOTS
    for quote in page.quotes:
        if check_series(page.underlying, page.expiry, quote.strike) != Code.OK:
            return Code.SERIES
        if quote.bid_lots > MAX_LOTS or quote.ask_lots > MAX_LOTS:
            return Code.LOTS
        for price, lots in ((quote.bid, quote.bid_lots), (quote.ask, quote.ask_lots)):
            if price >> PRICE_BITS or (price == 0 and lots > 0):
                return Code.PRICE
    return Code.OK


def check_sheet(items: tuple[int, ...], a: Account, clock: int, last: int, rules: Rules) -> Code:
    """Whether it is the account's newest, or another page of that, and short-lived. `last` is the nonce of what stands in the slot."""
    _, _, nonce, valid_until, _, page = items[:SHEET_HEAD]
    code = check_validity(valid_until, clock)
    if code != Code.OK:
        return code
    if valid_until > clock + rules.params.sheet_life_s or nonce < a.sheet:
        return Code.SHEET
    return Code.NONCE if nonce == 0 else check_nonce(nonce + page, last)


def compute_digest(items: tuple[int, ...], page: Page, a: Account, rules: Rules) -> bytes:
    """What is signed, for the account's present order generation: the posted page's hash in its place among the others."""
    _, account, nonce, valid_until, pages, number = items[:SHEET_HEAD]
    others = [hash_.to_bytes(32, "big") for hash_ in items[SHEET_HEAD : SHEET_HEAD + pages - 1]]
    mine = compute_page_hash(page.underlying, page.expiry, page.max_lots, [quote[:6] for quote in page.quotes])
    hashes = [*others[:number], mine, *others[number:]]
    return compute_sheet_digest(rules.domain, account, hashes, nonce, a.generation, valid_until)


def apply(view: View, items: tuple[int, ...], signature: bytes | None, rules: Rules) -> Code:
    """The page's nonce is the sheet's plus its number, and its slot that of its nonce. Pages of earlier sheets are dead from then on."""
    _, index, nonce, valid_until, _, number = items[:SHEET_HEAD]
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return Code.ACCOUNT
    a = view.get_account(index)
    slot = rules.params.get_slot(nonce + number)
    last = view.get_slot_nonce(index, slot)
    # CHECK
    page = decode_page(items)
    code = check_page(page) or check_sheet(items, a, g.clock, last, rules)
    if code != Code.OK:
        return code
    signer = rules.kernel.get_signer(compute_digest(items, page, a, rules), signature)
    if not may_register(a, signer, nonce + number, last, g.clock):
        return Code.SIGNATURE
    # WRITE
    until = cap_validity(a, signer, valid_until)
    if a.sheet != nonce:
        view.put_account(index, a._replace(sheet=nonce))
    view.put_page(index, slot, page._replace(nonce=nonce + number, sheet=nonce, generation=a.generation, valid_until=until))
    return Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Takes the next signature, whatever becomes of the page."""
    code = apply(view, pre.items, get_signature(pre.signatures, h.signature), rules)
    return next_row(h)._replace(signature=h.signature + 1), code
