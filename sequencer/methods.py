"""The table of JSON-RPC methods: reads answer at once, operations become a `Submission` (`sequencer.operations`)."""

from collections.abc import Callable, Sequence
from typing import Any

from node.instruments import decode_legs
from protocol.auction import compute_price
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.sessions import is_authorized
from protocol.types import SCOPE_TRADE, UNDERLYINGS
from sequencer import accounts, rpc, views
from sequencer.desk import Desk
from sequencer.events import Event, Legs, Refusal
from sequencer.operations import Operations, decode_bid_legs, decode_name
from sequencer.rpc import ApiError
from sequencer.submissions import Deployed, Identity, Submission

CHANNELS = ("trades.all", "batches", "marks", "rfqs", "auctions", "settlements")


class Methods:
    """The table of methods over one desk. Handlers are called with parsed parameters and the connection's identity."""

    def __init__(self, desk: Desk, deployed: Deployed) -> None:
        self.desk = desk
        self.deployed = deployed
        self._owners = accounts.Owners()
        self._auctions = accounts.Auctions()
        self.table: dict[str, tuple[type[rpc.Params], Callable[[Any, Identity], Any]]] = {
            "public/get_time": (rpc.NoParams, lambda _p, _i: desk.clock.now()),
            "public/status": (rpc.NoParams, self._get_status),
            "public/get_instruments": (rpc.InstrumentsParams, self._get_instruments),
            "public/get_combos": (rpc.NoParams, lambda _p, _i: views.list_combos(desk.machine)),
            "public/get_order_book": (rpc.BookParams, self._get_book),
            "public/ticker": (rpc.TickerParams, self._get_ticker),
            "public/get_account": (rpc.OwnerParams, self._get_account),
            "public/get_challenge": (rpc.NoParams, lambda _p, i: {"challenge": i.challenge}),
            "public/auth": (rpc.AuthParams, self._auth),
            "public/subscribe": (rpc.SubscribeParams, self._subscribe),
            "public/unsubscribe": (rpc.SubscribeParams, self._unsubscribe),
            "private/get_positions": (rpc.AccountParams, self._get_positions),
            "private/get_account_summary": (rpc.AccountParams, self._get_summary),
            "private/get_open_orders": (rpc.AccountParams, self._get_open_orders),
            "straddle/get_rfq": (rpc.RfqIdParams, self._get_rfq),
            "straddle/auctions": (rpc.AuctionsParams, self._get_auctions),
            "straddle/auction_price": (rpc.AuctionPriceParams, self._get_auction_price),
            "straddle/pool": (rpc.NoParams, lambda _p, _i: accounts.view_pool(desk.machine.state.globals)),
            **Operations(desk, deployed, self._check_owner).table,
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
            "shutdown": machine.state.globals.shutdown or None,
            "is_settled": bool(machine.state.globals.is_settled),
            "accounts": machine.state.globals.accounts,
            "mark_times": {name: market.mark_time for name, market in zip(UNDERLYINGS, machine.state.markets, strict=True)},
            "landed_batches": machine.landed,
            "pending_batches": machine.pending,
        }

    def _get_instruments(self, params: rpc.InstrumentsParams, _identity: Identity) -> Any:
        number = None if params.currency is None else UNDERLYINGS.index(params.currency)
        machine = self.desk.machine
        return [views.view_instrument(machine, series) for series in views.list_series(machine, number)]

    def _get_book(self, params: rpc.BookParams, _identity: Identity) -> Any:
        return views.view_book(self.desk.machine, decode_name(params.instrument_name), params.depth)

    def _get_ticker(self, params: rpc.TickerParams, _identity: Identity) -> Any:
        return views.view_ticker(self.desk.machine, decode_name(params.instrument_name))

    def _get_account(self, params: rpc.OwnerParams, _identity: Identity) -> Any:
        index = self._owners.find(self.desk.machine, int(params.owner, 16))
        if index is None:
            raise ApiError(Code.ACCOUNT, "this address has no account: deposit at the vault first")
        return accounts.view_account(index, self.desk.machine.state.get_account(index))

    def _get_positions(self, params: rpc.AccountParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        return accounts.view_positions(self.desk.machine, params.account)

    def _get_summary(self, params: rpc.AccountParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        return accounts.view_summary(self.desk.machine, params.account)

    def _get_open_orders(self, params: rpc.AccountParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        orders = self.desk.machine.book.by_account.get(params.account, {}).values()
        return [accounts.view_order(order) for order in orders]

    def _get_rfq(self, params: rpc.RfqIdParams, identity: Identity) -> Any:
        self._check_owner(params.account, identity)
        rfq = self.desk.machine.matcher.rfqs.open.get(params.rfq_id)
        if rfq is None or rfq.account != params.account:
            raise ApiError(Refusal.NOT_FOUND, "no such request for quotes of this account is open")
        return views.view_rfq(self.desk.machine, rfq)

    def _get_auctions(self, params: rpc.AuctionsParams, _identity: Identity) -> Any:
        machine = self.desk.machine
        found = [index for index in self._auctions.find(machine) if index >= params.start]
        return [accounts.view_auction(machine, index) for index in found[: params.count]]

    def _get_auction_price(self, params: rpc.AuctionPriceParams, _identity: Identity) -> Any:
        state = self.desk.machine.state
        target, legs = state.get_account(params.target), decode_bid_legs(params.legs)
        if not target.flag:
            raise ApiError(Code.NOT_FLAGGED, "the account is not up for auction")
        price = compute_price(legs, state.globals.marks - target.flag, state.markets, self.desk.machine.rules.kernel)
        return {"target": params.target, "price": price, "timestamp": state.globals.clock}

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
            if not self._may_act(params.account, signers[0]):
                raise ApiError(Refusal.UNAUTHENTICATED, "the challenge is not signed by the account's owner")
            identity.accounts[params.account] = signers[0]
            return []

        return Submission(build, lambda _results: {"account": params.account}, ((digest, signature),))

    def is_owner(self, account: int, identity: Identity) -> bool:
        """Still: a session key expires, and L1 gives the indices out: a reorganisation may give one to somebody else."""
        signer = identity.accounts.get(account)
        return signer is not None and self._may_act(account, signer)

    def _may_act(self, account: int, signer: int) -> bool:
        """By the owner, or a session key that may trade."""
        return is_authorized(self.desk.machine.state.get_account(account), signer, SCOPE_TRADE, self.desk.clock.now())

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
        if channel in CHANNELS:
            return
        if head in ("trades", "ticker") and rest:
            decode_name(rest)
        elif head == "user" and rest.isascii() and rest.isdigit() and len(rest) <= 10:
            self._check_owner(int(rest), identity)
        else:
            raise ApiError(rpc.INVALID_PARAMS, f"channels: {', '.join(CHANNELS)}, trades.NAME, ticker.NAME, user.ACCOUNT")

    @staticmethod
    def get_legs_of(channel: str) -> Legs:
        """Of a ticker's channel, which was checked when it was subscribed to."""
        return decode_legs(channel.partition(".")[2])
