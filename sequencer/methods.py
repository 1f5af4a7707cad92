"""What each JSON-RPC method does: reads answer at once, operations become a `Submission`, which the session signs off with all others of
its message.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.errors import NodeError
from node.instruments import decode_instrument, encode_instrument
from protocol.codec.frames import SIGNATURE_BYTES
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.operations import Kind, build_cancel, build_withdraw
from protocol.series import decode_series, encode_series
from protocol.signing import compute_order_digest
from protocol.types import UNDERLYINGS
from sequencer import rpc, views
from sequencer.desk import Desk
from sequencer.events import (
    IMMEDIATE,
    POST_ONLY,
    Cancelled,
    CancelReceived,
    Event,
    Fill,
    OrderPlaced,
    OrderReceived,
    Refusal,
    Refused,
    Result,
    RowApplied,
    RowReceived,
)
from sequencer.rpc import ApiError, OrderParams

REQUEST = 1  # every event of a session wants one reply
MARK_WAIT_S = 10  # a mark may be so far ahead of our clock, which then is waited for


@dataclass(frozen=True)
class Submission:
    """`pairs` are the signatures to recover; `build` makes the events from their signers; `render` the answer from the events' results."""

    build: Callable[[Sequence[int], int], list[Event]]
    render: Callable[[Sequence[Result]], Any]
    pairs: tuple[tuple[bytes, bytes], ...] = ()
    not_before: int = 0  # chain time


@dataclass
class Identity:
    """Of one connection."""

    challenge: str
    accounts: dict[int, int] = field(default_factory=dict)  # account -> its owner, who has signed
    channels: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Deployed:
    """What clients must know to sign."""

    chain_id: int
    vault: int
    preset: str
    speed: int
    posts_noops: bool = False


def render_fill(fill: Fill) -> dict[str, Any]:
    """As Deribit's trades: `direction` is the taker's."""
    return {
        "trade_id": str(fill.number),
        "instrument_name": encode_instrument(fill.series),
        "timestamp": fill.time,
        "price": fill.price,
        "amount": fill.lots,
        "direction": "buy" if fill.is_buy else "sell",
        "fee": fill.fee,
        "maker_order_id": f"{fill.maker}-{fill.maker_nonce}",
        "taker_order_id": f"{fill.taker}-{fill.taker_nonce}",
    }


def render_placed(placed: OrderPlaced) -> dict[str, Any]:
    """`order_state`: open, filled or cancelled; `reason_code` says why the rest does not stand."""
    filled = sum(fill.lots for fill in placed.fills)
    order: dict[str, Any] = {
        "order_id": f"{placed.account}-{placed.nonce}",
        "instrument_name": encode_instrument(placed.series),
        "direction": "buy" if placed.is_buy else "sell",
        "price": placed.price,
        "amount": placed.lots,
        "filled_amount": filled,
        "order_state": "open" if placed.left else "filled" if filled == placed.lots else "cancelled",
    }
    if placed.reason:
        order |= {"reason_code": placed.code, "reason": placed.reason}
    return {"order": order, "trades": [render_fill(fill) for fill in placed.fills]}


def check_result(result: Result) -> Result:
    """Raises what was refused."""
    if isinstance(result, Refused):
        raise ApiError(result.code, result.reason)
    return result


def _render_one(results: Sequence[Result]) -> Any:
    result = check_result(results[0])
    match result:
        case OrderPlaced():
            return render_placed(result)
        case Cancelled(nonces):
            return {"cancelled": len(nonces)}
        case RowApplied(code, batch):
            return {"code": code, "name": Code(code).name, "entry": batch}
    raise AssertionError("refusals were raised")


def _render_many(results: Sequence[Result]) -> Any:
    return [
        {"error": {"code": result.code, "message": result.reason}}
        if isinstance(result, Refused)
        else render_placed(result)
        if isinstance(result, OrderPlaced)
        else None
        for result in results
    ]


class Methods:
    """The table of methods over one desk. Handlers are called with parsed parameters and the connection's identity."""

    def __init__(self, desk: Desk, deployed: Deployed) -> None:
        self.desk = desk
        self.deployed = deployed
        self._owners = views.Owners()
        self.table: dict[str, tuple[type[rpc.Params], Callable[[Any, Identity], Any]]] = {
            "public/get_time": (rpc.NoParams, lambda _p, _i: desk.clock.now()),
            "public/status": (rpc.NoParams, self._get_status),
            "public/get_instruments": (rpc.InstrumentsParams, self._get_instruments),
            "public/get_order_book": (rpc.BookParams, self._get_book),
            "public/ticker": (rpc.TickerParams, self._get_ticker),
            "public/get_account": (rpc.OwnerParams, self._get_account),
            "public/get_challenge": (rpc.NoParams, lambda _p, i: {"challenge": i.challenge}),
            "public/auth": (rpc.AuthParams, self._auth),
            "public/subscribe": (rpc.SubscribeParams, self._subscribe),
            "public/unsubscribe": (rpc.SubscribeParams, self._unsubscribe),
            "private/buy": (rpc.OrderParams, lambda p, _i: self._place([p], [1], _render_one)),
            "private/sell": (rpc.OrderParams, lambda p, _i: self._place([p], [0], _render_one)),
            "private/cancel": (rpc.CancelParams, self._cancel),
            "private/cancel_all": (rpc.CancelAllParams, self._cancel_all),
            "private/withdraw": (rpc.WithdrawParams, self._withdraw),
            "private/get_positions": (rpc.AccountParams, self._get_positions),
            "private/get_account_summary": (rpc.AccountParams, self._get_summary),
            "private/get_open_orders": (rpc.AccountParams, self._get_open_orders),
            "straddle/place_orders": (rpc.OrdersParams, self._place_many),
            "straddle/submit_mark": (rpc.RowParams, self._submit_mark),
            "straddle/submit_row": (rpc.RowParams, self._submit_row),
        }

    def call(self, request: rpc.Request, identity: Identity) -> Any:
        """A result, or a `Submission`. Raises `ApiError`."""
        found = self.table.get(request.method)
        if found is None:
            raise ApiError(rpc.METHOD_NOT_FOUND, f"no method {request.method}")
        kind, handler = found
        return handler(rpc.decode_params(request.params, kind), identity)

    # -- reads

    def _get_status(self, _params: rpc.NoParams, _identity: Identity) -> Any:
        machine = self.desk.machine
        return {
            "chain_id": self.deployed.chain_id,
            "vault": f"0x{self.deployed.vault:040x}",
            "preset": self.deployed.preset,
            "speed": self.deployed.speed,
            "clock": machine.state.globals.clock,
            "accounts": machine.state.globals.accounts,
            "mark_times": {name: market.mark_time for name, market in zip(UNDERLYINGS, machine.state.markets, strict=True)},
            "landed_batches": machine.landed,
            "pending_batches": sum(entry.record is None for entry in machine.chain),
        }

    def _get_instruments(self, params: rpc.InstrumentsParams, _identity: Identity) -> Any:
        number = None if params.currency is None else UNDERLYINGS.index(params.currency)
        return [views.view_instrument(series) for series in views.list_series(self.desk.machine, number)]

    def _get_book(self, params: rpc.BookParams, _identity: Identity) -> Any:
        return views.view_book(self.desk.machine, self._decode_name(params.instrument_name), params.depth)

    def _get_ticker(self, params: rpc.TickerParams, _identity: Identity) -> Any:
        return views.view_ticker(self.desk.machine, self._decode_name(params.instrument_name))

    def _get_account(self, params: rpc.OwnerParams, _identity: Identity) -> Any:
        index = self._owners.find(self.desk.machine, int(params.owner, 16))
        if index is None:
            raise ApiError(Code.ACCOUNT, "this address has no account: deposit at the vault first")
        return views.view_account(index, self.desk.machine.state.get_account(index))

    def _get_positions(self, params: rpc.AccountParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        return views.view_positions(self.desk.machine, params.account)

    def _get_summary(self, params: rpc.AccountParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        return views.view_summary(self.desk.machine, params.account)

    def _get_open_orders(self, params: rpc.AccountParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        orders = self.desk.machine.book.by_account.get(params.account, {}).values()
        return [
            {
                "order_id": f"{order.account}-{order.nonce}",
                "instrument_name": encode_instrument(order.series),
                "direction": "buy" if order.is_buy else "sell",
                "price": order.price,
                "amount": order.lots,
                "filled_amount": order.lots - order.left,
                "order_state": "open",
            }
            for order in orders
        ]

    # -- identity and channels

    def build_challenge(self, account: int, challenge: str) -> bytes:
        """The text that is signed, as EIP-191 wraps it."""
        head = f"Straddle login\nchain {self.deployed.chain_id}\nvault 0x{self.deployed.vault:040x}\n"
        text = f"{head}account {account}\nchallenge {challenge}".encode()
        return b"\x19Ethereum Signed Message:\n%d" % len(text) + text

    def _auth(self, params: rpc.AuthParams, identity: Identity) -> Submission:
        digest = keccak(self.build_challenge(params.account, identity.challenge))
        signature = rpc.decode_hex(params.signature)

        def build(signers: Sequence[int], _now: int) -> list[Event]:
            owner = self.desk.machine.state.get_account(params.account).owner
            if not signers[0] or signers[0] != owner:
                raise ApiError(Refusal.UNAUTHENTICATED, "the challenge is not signed by the account's owner")
            identity.accounts[params.account] = owner
            return []

        return Submission(build, lambda _results: {"account": params.account}, ((digest, signature),))

    def is_owner(self, account: int, identity: Identity) -> bool:
        """Still: L1 gives the indices out, and a reorganisation may give one to somebody else."""
        owner = identity.accounts.get(account)
        return owner is not None and owner == self.desk.machine.state.get_account(account).owner

    def _check_owner(self, account: int, identity: Identity) -> None:
        if not self.is_owner(account, identity):
            raise ApiError(Refusal.UNAUTHENTICATED, "public/auth comes first, for this account")

    def _subscribe(self, params: rpc.SubscribeParams, identity: Identity) -> Any:
        for channel in params.channels:
            self._check_channel(channel, identity)
        if len(identity.channels | set(params.channels)) > rpc.MAX_CHANNELS:
            raise ApiError(Refusal.TOO_MANY, f"at most {rpc.MAX_CHANNELS} channels")
        identity.channels |= set(params.channels)
        return params.channels

    def _unsubscribe(self, params: rpc.SubscribeParams, identity: Identity) -> Any:
        identity.channels -= set(params.channels)
        return sorted(identity.channels)

    def _check_channel(self, channel: str, identity: Identity) -> None:
        head, _, rest = channel.partition(".")
        if channel in ("trades.all", "batches", "marks"):
            return
        if head in ("trades", "ticker") and rest:
            self._decode_name(rest)
        elif head == "user" and rest.isascii() and rest.isdigit() and len(rest) <= 10:
            self._check_owner(int(rest), identity)
        else:
            raise ApiError(rpc.INVALID_PARAMS, "channels: trades.all, trades.NAME, ticker.NAME, marks, batches, user.ACCOUNT")

    @staticmethod
    def get_series_of(channel: str) -> int:
        """Of a ticker's channel, which was checked when it was subscribed to."""
        return decode_instrument(channel.partition(".")[2])

    # -- operations

    @staticmethod
    def _decode_name(name: str) -> int:
        try:
            return decode_instrument(name)
        except NodeError as error:
            raise ApiError(Refusal.UNKNOWN_INSTRUMENT, error.message) from None

    def _get_series(self, params: OrderParams) -> int:
        terms = (params.underlying, params.expiry, params.strike, params.option_type)
        if params.instrument_name is not None and terms == (None,) * 4:
            return self._decode_name(params.instrument_name)
        if params.instrument_name is None and None not in terms:
            assert params.underlying is not None
            assert params.expiry is not None
            assert params.strike is not None
            return encode_series(params.underlying, params.expiry, params.strike, int(params.option_type == "call"))
        raise ApiError(rpc.INVALID_PARAMS, "either instrument_name, or all of underlying, expiry, strike, option_type")

    def _place_many(self, params: rpc.OrdersParams, _identity: Identity) -> Submission:
        return self._place(params.orders, [int(order.direction == "buy") for order in params.orders], _render_many)

    def _place(self, orders: Sequence[OrderParams], sides: Sequence[int], render: Callable[[Sequence[Result]], Any]) -> Submission:
        all_series = [self._get_series(order) for order in orders]
        if any(order.nonce >> 64 for order in orders):
            raise ApiError(Code.NONCE, "a nonce is below 2**64")
        pairs = []
        for order, is_buy, series in zip(orders, sides, all_series, strict=True):
            terms = (order.account, *decode_series(series), is_buy, order.price, order.amount, order.nonce)
            digest = compute_order_digest(self.desk.machine.rules.domain, (*terms, order.generation, order.valid_until))
            pairs.append((digest, rpc.decode_hex(order.signature)))

        def build(signers: Sequence[int], now: int) -> list[Event]:
            return [
                OrderReceived(
                    now, REQUEST, order.account, series, is_buy, order.price, order.amount, order.nonce, order.generation,
                    order.valid_until, IMMEDIATE * (order.time_in_force == "immediate_or_cancel") | POST_ONLY * order.post_only, pair[1],
                    signer,
                )
                for order, is_buy, series, pair, signer in zip(orders, sides, all_series, pairs, signers, strict=True)
            ]  # fmt: skip

        return Submission(build, render, tuple(pairs))

    def _cancel(self, params: rpc.CancelParams, identity: Identity) -> Submission:
        account, nonce = map(int, params.order_id.split("-"))
        self._check_owner(account, identity)
        return Submission(lambda _signers, now: [CancelReceived(now, REQUEST, account, (nonce,))], _render_one)

    def _cancel_all(self, params: rpc.CancelAllParams, identity: Identity) -> Submission:
        if params.signature is None:
            self._check_owner(params.account, identity)
            return Submission(lambda _signers, now: [CancelReceived(now, REQUEST, params.account, ())], _render_one)
        if params.nonce is None:
            raise ApiError(rpc.INVALID_PARAMS, "a signed cancellation has a nonce")
        return self._submit(build_cancel(params.account, params.nonce), rpc.decode_hex(params.signature))

    def _withdraw(self, params: rpc.WithdrawParams, _identity: Identity) -> Submission:
        return self._submit(build_withdraw(params.account, params.amount, params.nonce), rpc.decode_hex(params.signature))

    def _submit_mark(self, params: rpc.RowParams, identity: Identity) -> Submission:
        items = tuple(map(int, params.items))
        if items[0] != Kind.MARK or len(items) < 5:
            raise ApiError(rpc.INVALID_PARAMS, "not the items of a MARK")
        time = items[3]
        if time > self.desk.clock.now() + MARK_WAIT_S * self.deployed.speed:
            raise ApiError(Code.MARK_TIME, "the mark is ahead of the clock")
        return self._submit_items(items, params, time)

    def _submit_row(self, params: rpc.RowParams, _identity: Identity) -> Submission:
        return self._submit_items(tuple(map(int, params.items)), params, 0)

    def _submit_items(self, items: tuple[int, ...], params: rpc.RowParams, not_before: int) -> Submission:
        signatures = rpc.decode_hex(params.signatures)
        if any(item >> 256 for item in items) or len(signatures) % SIGNATURE_BYTES:
            raise ApiError(rpc.INVALID_PARAMS, "an item has at most 256 bits, a signature 65 bytes")
        must_apply = params.must_apply
        if not must_apply and not self.deployed.posts_noops:
            raise ApiError(rpc.INVALID_PARAMS, "this sequencer posts no operation that changes nothing")

        def build(_signers: Sequence[int], now: int) -> list[Event]:
            return [RowReceived(now, REQUEST, items, signatures, must_apply)]

        return Submission(build, _render_one, (), not_before)

    @staticmethod
    def _submit(items: tuple[int, ...], signature: bytes) -> Submission:
        return Submission(lambda _signers, now: [RowReceived(now, REQUEST, items, signature, True)], _render_one)
