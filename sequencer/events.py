"""What happens to the sequencer, and what it wants done. Events are past tense, effects imperative; times are chain seconds.

`request` names whom to answer; 0 for nobody.
"""

from enum import IntEnum

from msgspec import Struct

from protocol.codec.frames import Batch, Frame, Message
from protocol.types import Record

IMMEDIATE = 1  # option: what does not fill at once is cancelled
Legs = tuple[int, ...]  # packed; one leg of ratio 1 for a plain order
PageTerms = tuple[int, int, int, tuple[tuple[int, ...], ...]]  # of a page: underlying, expiry, max lots, quotes as in `types.TwoWay`


class Refusal(IntEnum):
    """What the sequencer itself refuses. What the rules refuse has a `protocol.codes.Code`, a positive number. Stable."""

    # -32010 was post_only, which is a rule now
    SLOT_BUSY = -32011  # the nonce's slot holds an order that rests
    NOT_FOUND = -32012
    UNAUTHENTICATED = -32014
    TOO_MANY = -32015
    UNKNOWN_INSTRUMENT = -32016
    UNAVAILABLE = -32017


# -- events


class OrderReceived(Struct, frozen=True):
    """`signer` was recovered from the signature over exactly these terms; 0 if none could be. `rfq` is the number of the request for
    quotes that it belongs to, 0 for the public book."""

    now: int
    request: int
    account: int
    legs: Legs
    is_buy: int
    price: int  # limit, 1e-6 USD a unit; signed for a combo
    lots: int
    nonce: int
    generation: int
    valid_until: int
    flags: int
    fee_cap: int
    options: int
    rfq: int
    signature: bytes
    signer: int


class SheetReceived(Struct, frozen=True):
    """A sheet of quotes. `hashes` are its pages', over which, with the other terms, `signer` was recovered."""

    now: int
    request: int
    account: int
    nonce: int
    generation: int
    valid_until: int
    pages: tuple[PageTerms, ...]
    hashes: tuple[bytes, ...]
    signature: bytes
    signer: int


class RfqReceived(Struct, frozen=True):
    """Somebody asks for quotes for `lots` units. Its account has been authenticated."""

    now: int
    request: int
    account: int
    legs: Legs
    lots: int
    valid_until: int


class RowReceived(Struct, frozen=True):
    """Any other operation. With `must_apply` unset it is posted even if it changes nothing."""

    now: int
    request: int
    items: tuple[int, ...]
    signatures: bytes
    must_apply: bool


class CancelReceived(Struct, frozen=True):
    """Takes resting orders out of the book; no nonces means all of the account's."""

    now: int
    request: int
    account: int
    nonces: tuple[int, ...]


class MessagesQueued(Struct, frozen=True):
    """Forced messages from number `start` on, confirmed on L1."""

    now: int
    start: int
    messages: tuple[Message, ...]


class ClockElapsed(Struct, frozen=True):
    """Some time has passed."""

    now: int


class BlockSeen(Struct, frozen=True):
    """L1's newest confirmed block."""

    now: int
    number: int
    time: int


class BatchLanded(Struct, frozen=True):
    """A batch is confirmed on L1. Its content comes along unless it is, by its record, the one that was posted next."""

    now: int
    record: Record
    batch: Batch | None


class BatchLost(Struct, frozen=True):
    """A posted batch will not land: L1 reverted it, or its transaction was given up."""

    now: int
    entry: int
    is_reverted: bool


class L1Undone(Struct, frozen=True):
    """A reorganisation below the confirmations: batches and messages from these numbers on are not on L1 any more."""

    now: int
    batches: int
    messages: int


Event = (
    OrderReceived
    | SheetReceived
    | RfqReceived
    | RowReceived
    | CancelReceived
    | MessagesQueued
    | ClockElapsed
    | BlockSeen
    | BatchLanded
    | BatchLost
    | L1Undone
)


# -- what effects carry


class Fill(Struct, frozen=True):
    """A trade that the rules applied. `price` is the maker's, `fee` the taker's, 1e-6 USD."""

    number: int
    time: int
    legs: Legs
    price: int
    lots: int
    is_buy: int  # the taker's side
    maker: int
    maker_nonce: int
    taker: int
    taker_nonce: int
    fee: int


class OrderPlaced(Struct, frozen=True):
    """What became of an order: fills, and what rests. `code` says why the remainder does not rest, 0 if it does or nothing remains."""

    account: int
    nonce: int
    legs: Legs
    is_buy: int
    price: int
    lots: int
    left: int  # resting
    fills: tuple[Fill, ...]
    code: int
    reason: str


class OrderRemoved(Struct, frozen=True):
    """A resting order left the book without a fill; with a `place`, a side of a quote did."""

    account: int
    nonce: int
    place: int
    legs: Legs
    left: int
    code: int  # 0 by its owner's wish
    reason: str


class QuoteDropped(Struct, frozen=True):
    """A side of a quote that is not in the book: it would have traded at once, or its series is not listed."""

    legs: Legs
    is_buy: int
    code: int


class SheetPlaced(Struct, frozen=True):
    """What became of a sheet: so many sides of quotes are in the book, in place of those of the sheet before."""

    account: int
    nonce: int
    quotes: int
    dropped: tuple[QuoteDropped, ...]


class SheetRemoved(Struct, frozen=True):
    """All that was left of a sheet left the book."""

    account: int
    nonce: int
    code: int  # 0 by its owner's wish
    reason: str


class RfqOpened(Struct, frozen=True):
    """A request for quotes, which makers answer with orders that name its number."""

    number: int
    account: int
    legs: Legs
    lots: int
    valid_until: int


class RfqAnswered(Struct, frozen=True):
    """An order of somebody else waits for the one who asked."""

    number: int
    asker: int
    account: int
    nonce: int
    is_buy: int
    price: int
    lots: int


class Refused(Struct, frozen=True):
    """The operation changed nothing. Positive codes are the rules', negative ones `Refusal`."""

    code: int
    reason: str


class RowApplied(Struct, frozen=True):
    """`code` is not OK only where the row was to be posted regardless."""

    code: int
    batch: int


class Cancelled(Struct, frozen=True):
    """Nonces of the orders that left the book, and whether a sheet of quotes did."""

    nonces: tuple[int, ...]
    has_sheet: bool = False


class Lapsed(Struct, frozen=True):
    """An operation that had been acknowledged did not survive its batch's being headed anew."""

    items: tuple[int, ...]
    code: int


class BatchClosed(Struct, frozen=True):
    """Its frames are fixed; it waits to be posted."""

    entry: int
    first: int
    last: int
    messages: int
    frames: int
    bytes: int


class MarkApplied(Struct, frozen=True):
    """A new surface for one underlying."""

    underlying: int
    time: int


class ListingSettled(Struct, frozen=True):
    """All positions of one expiry have become cash, at this price of the underlying (1e-6 USD a unit)."""

    underlying: int
    expiry: int
    price: int


class AuctionTaken(Struct, frozen=True):
    """A bid was awarded: `units` of the legs went from the target to the bidder."""

    account: int
    target: int
    units: int


Result = OrderPlaced | SheetPlaced | RfqOpened | RowApplied | Cancelled | Refused
News = (
    Fill
    | OrderRemoved
    | SheetRemoved
    | RfqOpened
    | RfqAnswered
    | MarkApplied
    | ListingSettled
    | AuctionTaken
    | BatchClosed
    | Lapsed
    | BatchLanded
)


# -- effects


class Persist(Struct, frozen=True):
    """Write the record down; nothing that follows may happen before it is durable."""

    record: bytes


class Reply(Struct, frozen=True):
    """Answer a request."""

    request: int
    result: Result


class Publish(Struct, frozen=True):
    """Tell subscribers."""

    news: News


class PostBatch(Struct, frozen=True):
    """Send to L1, where it is to land as batch `number`. `entry` and `attempt` name the intent, so that it is sent once however often this
    is asked for."""

    entry: int
    attempt: int
    number: int
    first: int
    last: int
    message_count: int
    frames: tuple[Frame, ...]


Effect = Persist | Reply | Publish | PostBatch
