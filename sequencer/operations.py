"""The methods that change something: each becomes a `Submission`, which the session signs off with all others of its message."""

from collections.abc import Callable, Sequence
from typing import Any

from node.errors import NodeError
from node.instruments import decode_instrument, decode_legs, encode_expiry
from protocol.codec.frames import SIGNATURE_BYTES
from protocol.codes import Code
from protocol.legs import pack_plain
from protocol.operations import (
    Kind,
    build_authorize,
    build_bid,
    build_cancel,
    build_pool,
    build_withdraw,
)
from protocol.series import encode_series
from protocol.signing import compute_page_hash, compute_sheet_digest
from protocol.types import FILL_OR_KILL, POST_ONLY, REDUCE_ONLY, UNDERLYINGS
from sequencer import rpc
from sequencer.desk import Desk
from sequencer.events import (
    IMMEDIATE,
    CancelReceived,
    Event,
    Legs,
    OrderReceived,
    PageTerms,
    Refusal,
    Result,
    RfqReceived,
    RowReceived,
    SheetReceived,
)
from sequencer.orders import compute_digest
from sequencer.rpc import ApiError, OrderParams
from sequencer.submissions import REQUEST, Deployed, Identity, Submission, render_many, render_one

KIND_MASK = 15
MATCHED = (Kind.ORDER, Kind.COMBO, Kind.SHEET, Kind.TRADE)  # by price and time, and posted only when they fill
MARK_WAIT_S = 10  # a mark may be so far ahead of our clock, which then is waited for
CheckOwner = Callable[[int, Identity], None]


def decode_name(name: str) -> Legs:
    """Of a series or of a combination. Raises `ApiError`."""
    try:
        return decode_legs(name)
    except NodeError as error:
        raise ApiError(Refusal.UNKNOWN_INSTRUMENT, error.message) from None


def decode_bid_legs(legs: Sequence[rpc.LegParams]) -> tuple[tuple[int, int], ...]:
    """(series, lots of a unit). Raises `ApiError`."""
    try:
        return tuple((decode_instrument(leg.instrument_name), leg.ratio) for leg in legs)
    except NodeError as error:
        raise ApiError(Refusal.UNKNOWN_INSTRUMENT, error.message) from None


def _get_legs(params: OrderParams) -> Legs:
    terms = (params.underlying, params.expiry, params.strike, params.option_type)
    if params.instrument_name is not None and terms == (None,) * 4:
        return decode_name(params.instrument_name)
    if params.instrument_name is None and None not in terms:
        assert params.underlying is not None
        assert params.expiry is not None
        assert params.strike is not None
        return pack_plain(encode_series(params.underlying, params.expiry, params.strike, int(params.option_type == "call")))
    raise ApiError(rpc.INVALID_PARAMS, "either instrument_name, or all of underlying, expiry, strike, option_type")


def _get_flags(params: OrderParams) -> int:
    is_whole = params.time_in_force == "fill_or_kill"
    return POST_ONLY * params.post_only | REDUCE_ONLY * params.reduce_only | FILL_OR_KILL * is_whole


def _get_page(page: rpc.PageParams) -> PageTerms:
    if page.quotes:  # those that are left out of the book are told by their names
        try:
            encode_expiry(page.expiry)
        except NodeError as error:
            raise ApiError(Refusal.UNKNOWN_INSTRUMENT, error.message) from None
    quotes = tuple((q.strike, int(q.option_type == "call"), q.bid, q.bid_amount, q.ask, q.ask_amount) for q in page.quotes)
    return UNDERLYINGS.index(page.currency), page.expiry, page.max_amount, quotes


def _check_words(*words: int) -> None:
    """What no row can carry. Rules bound nonces more tightly, and are asked."""
    if any(word >> 256 for word in words):
        raise ApiError(rpc.INVALID_PARAMS, "a number has at most 256 bits")


class Operations:
    """Over one desk. `check_owner` raises unless a connection has signed for an account."""

    def __init__(self, desk: Desk, deployed: Deployed, check_owner: CheckOwner) -> None:
        self.desk = desk
        self._deployed = deployed
        self._check_owner = check_owner
        self._domain = desk.machine.rules.domain
        self.table: dict[str, tuple[type[rpc.Params], Callable[[Any, Identity], Submission]]] = {
            "private/buy": (rpc.OrderParams, lambda p, _i: self._place([p], [1], render_one)),
            "private/sell": (rpc.OrderParams, lambda p, _i: self._place([p], [0], render_one)),
            "private/cancel": (rpc.CancelParams, self._cancel),
            "private/cancel_all": (rpc.CancelAllParams, self._cancel_all),
            "private/withdraw": (rpc.WithdrawParams, self._withdraw),
            "straddle/place_orders": (rpc.OrdersParams, self._place_many),
            "straddle/quotes": (rpc.SheetParams, self._quote),
            "straddle/rfq": (rpc.RfqParams, self._ask),
            "straddle/authorize": (rpc.AuthorizeParams, self._authorize),
            "straddle/revoke": (rpc.RevokeParams, self._revoke),
            "straddle/enter_pool": (rpc.PoolParams, lambda p, _i: self._move_pool(p, is_leaving=False)),
            "straddle/leave_pool": (rpc.PoolParams, lambda p, _i: self._move_pool(p, is_leaving=True)),
            "straddle/bid": (rpc.BidParams, self._bid),
            "straddle/submit_mark": (rpc.RowParams, self._submit_mark),
            "straddle/submit_settle": (rpc.RowParams, self._submit_settle),
            "straddle/submit_row": (rpc.RowParams, self._submit_row),
        }

    # -- orders and quotes

    def _place_many(self, params: rpc.OrdersParams, _identity: Identity) -> Submission:
        return self._place(params.orders, [int(order.direction == "buy") for order in params.orders], render_many)

    def _place(self, orders: Sequence[OrderParams], sides: Sequence[int], render: Callable[[Sequence[Result]], Any]) -> Submission:
        all_legs = [_get_legs(order) for order in orders]
        if any(order.nonce >> 64 for order in orders):
            raise ApiError(Code.NONCE, "a nonce is below 2**64")
        pairs = [
            (
                compute_digest(
                    self._domain, order.account, legs, is_buy, order.price, order.amount, _get_flags(order), order.fee_cap, order.nonce,
                    order.generation, order.valid_until,
                ),
                rpc.decode_hex(order.signature),
            )
            for order, is_buy, legs in zip(orders, sides, all_legs, strict=True)
        ]  # fmt: skip

        def build(signers: Sequence[int], now: int) -> list[Event]:
            return [
                OrderReceived(
                    now, REQUEST, order.account, legs, is_buy, order.price, order.amount, order.nonce, order.generation,
                    order.valid_until, _get_flags(order), order.fee_cap, IMMEDIATE * (order.time_in_force == "immediate_or_cancel"),
                    order.rfq_id, pair[1], signer,
                )
                for order, is_buy, legs, pair, signer in zip(orders, sides, all_legs, pairs, signers, strict=True)
            ]  # fmt: skip

        return Submission(build, render, tuple(pairs))

    def _quote(self, params: rpc.SheetParams, _identity: Identity) -> Submission:
        if params.nonce >> 64:
            raise ApiError(Code.NONCE, "a nonce is below 2**64")
        pages = tuple(map(_get_page, params.pages))
        hashes = tuple(compute_page_hash(*page) for page in pages)
        validity = (params.nonce, params.generation, params.valid_until)
        pair = compute_sheet_digest(self._domain, params.account, hashes, *validity), rpc.decode_hex(params.signature)

        def build(signers: Sequence[int], now: int) -> list[Event]:
            return [SheetReceived(now, REQUEST, params.account, *validity, pages, hashes, pair[1], signers[0])]

        return Submission(build, render_one, (pair,))

    def _ask(self, params: rpc.RfqParams, identity: Identity) -> Submission:
        self._check_owner(params.account, identity)
        legs = decode_name(params.instrument_name)

        def build(_signers: Sequence[int], now: int) -> list[Event]:
            return [RfqReceived(now, REQUEST, params.account, legs, params.amount, params.valid_until)]

        return Submission(build, render_one)

    def _cancel(self, params: rpc.CancelParams, identity: Identity) -> Submission:
        account, nonce = map(int, params.order_id.split("-"))
        self._check_owner(account, identity)
        return Submission(lambda _signers, now: [CancelReceived(now, REQUEST, account, (nonce,))], render_one, is_urgent=True)

    def _cancel_all(self, params: rpc.CancelAllParams, identity: Identity) -> Submission:
        if params.signature is None:
            self._check_owner(params.account, identity)
            return Submission(lambda _signers, now: [CancelReceived(now, REQUEST, params.account, ())], render_one, is_urgent=True)
        if params.nonce is None:
            raise ApiError(rpc.INVALID_PARAMS, "a signed cancellation has a nonce")
        return self._submit(build_cancel(params.account, params.nonce), params.signature)

    # -- accounts, the pool, auctions

    def _withdraw(self, params: rpc.WithdrawParams, _identity: Identity) -> Submission:
        return self._submit(build_withdraw(params.account, params.amount, params.nonce), params.signature)

    def _authorize(self, params: rpc.AuthorizeParams, _identity: Identity) -> Submission:
        key = int(params.key, 16)
        return self._submit(build_authorize(params.account, key, params.scope, params.expiry, params.nonce), params.signature)

    def _revoke(self, params: rpc.RevokeParams, _identity: Identity) -> Submission:
        return self._submit(build_authorize(params.account, 0, 0, 0, params.nonce), params.signature)

    def _move_pool(self, params: rpc.PoolParams, *, is_leaving: bool) -> Submission:
        return self._submit(build_pool(params.account, params.amount, params.nonce, is_leaving), params.signature)

    def _bid(self, params: rpc.BidParams, _identity: Identity) -> Submission:
        legs = decode_bid_legs(params.legs)
        row = build_bid(params.account, params.target, legs, params.amount, params.limit, params.nonce, params.valid_until)
        return self._submit(row, params.signature)

    # -- rows

    def _submit_mark(self, params: rpc.RowParams, _identity: Identity) -> Submission:
        items = tuple(map(int, params.items))
        if items[0] != Kind.MARK or len(items) < 5:
            raise ApiError(rpc.INVALID_PARAMS, "not the items of a MARK")
        time = items[3]
        if time > self.desk.clock.now() + MARK_WAIT_S * self._deployed.speed:
            raise ApiError(Code.MARK_TIME, "the mark is ahead of the clock")
        return self._submit_items(items, params, time)

    def _submit_settle(self, params: rpc.RowParams, _identity: Identity) -> Submission:
        items = tuple(map(int, params.items))
        if items[0] != Kind.SETTLE or len(items) != 4:
            raise ApiError(rpc.INVALID_PARAMS, "not the items of a SETTLE that is signed")
        return self._submit_items(items, params, 0)

    def _submit_row(self, params: rpc.RowParams, _identity: Identity) -> Submission:
        return self._submit_items(tuple(map(int, params.items)), params, 0)

    def _submit_items(self, items: tuple[int, ...], params: rpc.RowParams, not_before: int) -> Submission:
        signatures = rpc.decode_hex(params.signatures)
        if len(signatures) % SIGNATURE_BYTES:
            raise ApiError(rpc.INVALID_PARAMS, "a signature has 65 bytes")
        _check_words(*items)
        if items[0] & KIND_MASK in MATCHED and not self._deployed.posts_noops:
            raise ApiError(rpc.INVALID_PARAMS, "orders and sheets have methods of their own, and only the sequencer makes trades of them")
        must_apply = params.must_apply
        if not must_apply and not self._deployed.posts_noops:
            raise ApiError(rpc.INVALID_PARAMS, "this sequencer posts no operation that changes nothing")

        def build(_signers: Sequence[int], now: int) -> list[Event]:
            return [RowReceived(now, REQUEST, items, signatures, must_apply)]

        return Submission(build, render_one, (), not_before, is_urgent=items[0] & KIND_MASK in (Kind.MARK, Kind.SETTLE))

    @staticmethod
    def _submit(items: tuple[int, ...], signature: str) -> Submission:
        _check_words(*items)
        return Submission(lambda _signers, now: [RowReceived(now, REQUEST, items, rpc.decode_hex(signature), True)], render_one)
