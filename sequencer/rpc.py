"""JSON-RPC 2.0: shapes of requests and parameters, decoded strictly, and the errors that go back.

Method names are Deribit's where Deribit has the method. An error's code is the rules' (`protocol.codes.Code`, positive), the sequencer's
own (`Refusal`, -32010 and below) or JSON-RPC's (-32700 to -32600). None of them ever changes its meaning.
"""

from typing import Annotated, Any, Literal

import msgspec

from protocol.operations import MAX_FEE_CAP
from protocol.types import MAX_LEGS, MAX_PAGES, MAX_QUOTES, MAX_RATIO

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

MAX_BATCH = 512  # requests in one message, and orders in one list
MAX_CHANNELS = 256
MAX_DEPTH = 1_000

Index = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Word = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Signed = Annotated[int, msgspec.Meta(ge=-(1 << 63) + 1, le=(1 << 63) - 1)]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Channel = Annotated[str, msgspec.Meta(max_length=208)]
Hex65 = Annotated[str, msgspec.Meta(pattern="^(0x)?[0-9a-fA-F]{130}$")]
HexBytes = Annotated[str, msgspec.Meta(pattern="^(0x)?([0-9a-fA-F]{2})*$", max_length=4_200)]
Address = Annotated[str, msgspec.Meta(pattern="^0x[0-9a-fA-F]{40}$")]
Number = Annotated[str, msgspec.Meta(pattern="^(0|[1-9][0-9]{0,77})$")]


class ApiError(Exception):
    """The caller's doing; becomes an error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parameters: named, nothing unknown."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`params` is decoded when the method is known."""

    jsonrpc: Literal["2.0"]
    method: Annotated[str, msgspec.Meta(max_length=64)]
    id: int | str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")


class NoParams(Params, frozen=True):
    """Takes none."""


class InstrumentsParams(Params, frozen=True):
    """`currency`: BTC, ETH; all without it."""

    currency: Literal["BTC", "ETH"] | None = None


class BookParams(Params, frozen=True):
    """Levels of each side."""

    instrument_name: Name
    depth: Annotated[int, msgspec.Meta(ge=1, le=MAX_DEPTH)] = 20


class TickerParams(Params, frozen=True):
    """One instrument."""

    instrument_name: Name


class OrderParams(Params, frozen=True):
    """The signed terms. The series or combination is named, or a series given as underlying, expiry, strike (1e-6 USD) and option_type;
    `amount` in lots (units of a combination), `price` the limit a lot in 1e-6 USD, signed for a combination. Signed is EIP-712 `Order` or
    `Combo` with the account's present `generation`; fill_or_kill, post_only, reduce_only and fee_cap are signed too."""

    account: Index
    amount: Word
    price: Signed
    nonce: Natural
    generation: Word
    valid_until: Word
    signature: Hex65
    instrument_name: Name | None = None
    underlying: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    expiry: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)] | None = None
    strike: Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)] | None = None
    option_type: Literal["call", "put"] | None = None
    time_in_force: Literal["good_til_date", "immediate_or_cancel", "fill_or_kill"] = "good_til_date"
    post_only: bool = False
    reduce_only: bool = False
    fee_cap: Word = MAX_FEE_CAP
    rfq_id: Word = 0


class SidedOrder(OrderParams, frozen=True, kw_only=True):
    """One of a list."""

    direction: Literal["buy", "sell"]


class OrdersParams(Params, frozen=True):
    """Many orders in one message, applied in order."""

    orders: Annotated[list[SidedOrder], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class QuoteParams(Params, frozen=True):
    """Both sides of one series of a page; a side without an amount is not quoted."""

    strike: Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]
    option_type: Literal["call", "put"]
    bid: Word = 0
    bid_amount: Word = 0
    ask: Word = 0
    ask_amount: Word = 0


class PageParams(Params, frozen=True):
    """Of one expiry; `max_amount` is the most that fills of all its quotes together."""

    currency: Literal["BTC", "ETH"]
    expiry: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]
    max_amount: Word
    quotes: Annotated[list[QuoteParams], msgspec.Meta(max_length=MAX_QUOTES)]


class SheetParams(Params, frozen=True):
    """Signed is EIP-712 `Sheet`: one signature for all pages."""

    account: Index
    pages: Annotated[list[PageParams], msgspec.Meta(min_length=1, max_length=MAX_PAGES)]
    nonce: Natural
    generation: Word
    valid_until: Word
    signature: Hex65


class RfqParams(Params, frozen=True):
    """`instrument_name` is a combination's, or a series'."""

    account: Index
    instrument_name: Name
    amount: Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]
    valid_until: Word


class RfqIdParams(Params, frozen=True):
    """One of the account's own."""

    account: Index
    rfq_id: Word


class CancelParams(Params, frozen=True):
    """`order_id` is account-nonce, as every order's."""

    order_id: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,10}-[0-9]{1,20}$")]


class CancelAllParams(Params, frozen=True):
    """With a signature: a CANCEL on the chain, which kills every earlier order, whoever holds it. Without: only what rests here."""

    account: Index
    nonce: Natural | None = None
    signature: Hex65 | None = None


class WithdrawParams(Params, frozen=True):
    """`amount` in 1e-6 USD is the most that is paid."""

    account: Index
    amount: Word
    nonce: Natural
    signature: Hex65


class AuthorizeParams(Params, frozen=True):
    """`scope` is a sum: 1 trade, 2 withdraw."""

    account: Index
    key: Address
    scope: Word
    expiry: Word
    nonce: Natural
    signature: Hex65


class RevokeParams(Params, frozen=True):
    """Signed is `Authorize` with key, scope and expiry 0."""

    account: Index
    nonce: Natural
    signature: Hex65


class PoolParams(Params, frozen=True):
    """`amount` in 1e-6 USD into the pool, or in shares out of it."""

    account: Index
    amount: Natural
    nonce: Natural
    signature: Hex65


class LegParams(Params, frozen=True):
    """So many lots of a series in one unit, negative for short ones."""

    instrument_name: Name
    ratio: Annotated[int, msgspec.Meta(ge=-MAX_RATIO, le=MAX_RATIO)]


BidLegs = Annotated[list[LegParams], msgspec.Meta(min_length=1, max_length=MAX_LEGS)]


class AuctionsParams(Params, frozen=True):
    """Of accounts from `start` on, at most `count`: each is margined for the answer."""

    start: Index = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100


class AuctionPriceParams(Params, frozen=True):
    """What a unit of these legs costs now."""

    target: Index
    legs: BidLegs


class BidParams(Params, frozen=True):
    """For `amount` units of what the target holds, at most `limit` a unit (1e-6 USD; negative: at least so much is paid to the bidder)."""

    account: Index
    target: Index
    legs: BidLegs
    amount: Word
    limit: Signed
    nonce: Natural
    valid_until: Word
    signature: Hex65


class AccountParams(Params, frozen=True):
    """Whose."""

    account: Index


class OwnerParams(Params, frozen=True):
    """By address."""

    owner: Address


class AuthParams(Params, frozen=True):
    """The challenge of this connection, signed by the account's owner (EIP-191)."""

    account: Index
    signature: Hex65


class SubscribeParams(Params, frozen=True):
    """Names of channels."""

    channels: Annotated[list[Channel], msgspec.Meta(min_length=1, max_length=64)]


class RowParams(Params, frozen=True):
    """An operation's items as decimal texts, and its signatures back to back. `must_apply` false posts it even if it changes nothing."""

    items: Annotated[list[Number], msgspec.Meta(min_length=1, max_length=128)]
    signatures: HexBytes = ""
    must_apply: bool = True


def decode_message(message: str | bytes) -> list[msgspec.Raw]:
    """The requests of one message, and whether they came as a batch is told by `is_batch`."""
    if not isinstance(message, str):
        raise ApiError(PARSE_ERROR, "not a text")
    text = message.encode()
    try:
        if is_batch(text):
            requests = msgspec.json.decode(text, type=list[msgspec.Raw])
            if not 0 < len(requests) <= MAX_BATCH:
                raise ApiError(INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests")
            return requests
        return [msgspec.Raw(text)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(PARSE_ERROR, f"not JSON: {error}") from None


def is_batch(message: str | bytes) -> bool:
    """A JSON array."""
    return message.lstrip()[:1] in ("[", b"[")


def decode_request(raw: msgspec.Raw) -> Request:
    """Raises `ApiError`."""
    try:
        return _REQUEST.decode(raw)
    except msgspec.ValidationError as error:
        raise ApiError(INVALID_REQUEST, str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(PARSE_ERROR, f"not JSON: {error}") from None


def decode_params(raw: msgspec.Raw, kind: type[Params]) -> Any:
    """Raises `ApiError` with the place of what is wrong."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(INVALID_PARAMS, str(error)) from None


_REQUEST = msgspec.json.Decoder(Request)


def encode_result(request_id: int | str | None, result: object) -> dict[str, object]:
    """A success."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def encode_error(request_id: int | str | None, error: ApiError) -> dict[str, object]:
    """A failure."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": error.code, "message": error.message}}


def decode_hex(text: str) -> bytes:
    """With or without 0x; the shape was checked."""
    return bytes.fromhex(text.removeprefix("0x"))
