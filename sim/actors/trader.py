"""One account of a simulated trader: its key, its nonces, and the requests that it signs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey

from node.instruments import encode_instrument
from protocol.keccak import keccak
from protocol.legs import compute_signed_legs
from protocol.operations import MAX_FEE_CAP
from protocol.series import decode_series
from protocol.signing import (
    compute_bid_digest,
    compute_order_digest,
    compute_page_hash,
    compute_sheet_digest,
    compute_withdraw_digest,
)
from protocol.types import UNDERLYINGS
from sim.scribe import get_address, sign

Request = tuple[str, Mapping[str, Any]]
Page = tuple[int, int, int, tuple[tuple[int, ...], ...]]  # underlying, expiry, max lots, quotes as in `protocol.types.TwoWay`


@dataclass(frozen=True, slots=True)
class Order:
    """A plain one, before it is signed. `price` is the limit a lot in 1e-6 USD."""

    account: int
    series: int
    is_buy: int
    price: int
    lots: int
    valid_until: int


@dataclass(frozen=True, slots=True)
class Bid:
    """For `units` of what the target holds: each is `ratio` lots of the series. `limit` a unit in 1e-6 USD, negative: is paid."""

    target: int
    series: int
    ratio: int
    units: int
    limit: int
    valid_until: int


def encode_signature(signature: bytes) -> str:
    """As the API takes it."""
    return "0x" + signature.hex()


def _encode_page(page: Page) -> dict[str, Any]:
    underlying, expiry, max_lots, quotes = page
    names = ("strike", "option_type", "bid", "bid_amount", "ask", "ask_amount")
    rendered = [dict(zip(names, (strike, "call" if is_call else "put", *rest), strict=True)) for strike, is_call, *rest in quotes]
    return {"currency": UNDERLYINGS[underlying], "expiry": expiry, "max_amount": max_lots, "quotes": rendered}


@dataclass
class Trader:
    """`index` is the account's, `generation` and `nonce` as the sequencer told them; `order_nonce` is the last one used here."""

    key: PrivateKey
    domain: bytes
    index: int
    generation: int = 0
    nonce: int = 0
    order_nonce: int = 0

    @property
    def owner(self) -> bytes:
        """The address that the account belongs to."""
        return get_address(self.key).to_bytes(20, "big")

    def sign_order(self, terms: Order, is_immediate: bool) -> dict[str, Any]:
        """Parameters of private/buy and private/sell; with `direction`, of one in straddle/place_orders."""
        self.order_nonce += 1
        signed = (terms.price, terms.lots, 0, 0, 0, MAX_FEE_CAP, self.order_nonce, self.generation, terms.valid_until)
        underlying, expiry, strike, is_call = decode_series(terms.series)
        digest = compute_order_digest(self.domain, (self.index, underlying, expiry, strike, is_call, terms.is_buy, *signed))
        return {
            "account": self.index,
            "instrument_name": encode_instrument(terms.series),
            "direction": "buy" if terms.is_buy else "sell",
            "price": terms.price,
            "amount": terms.lots,
            "nonce": self.order_nonce,
            "generation": self.generation,
            "valid_until": terms.valid_until,
            "signature": encode_signature(sign(self.key, digest)),
            "time_in_force": "immediate_or_cancel" if is_immediate else "good_til_date",
        }

    def sign_sheet(self, pages: Sequence[Page], valid_until: int) -> Request:
        """All quotes of the account, in place of those before. A page takes one nonce."""
        nonce, self.order_nonce = self.order_nonce + 1, self.order_nonce + len(pages)
        hashes = tuple(compute_page_hash(*page) for page in pages)
        digest = compute_sheet_digest(self.domain, self.index, hashes, nonce, self.generation, valid_until)
        return "straddle/quotes", {
            "account": self.index,
            "pages": [_encode_page(page) for page in pages],
            "nonce": nonce,
            "generation": self.generation,
            "valid_until": valid_until,
            "signature": encode_signature(sign(self.key, digest)),
        }

    def sign_bid(self, bid: Bid) -> Request:
        """On an auction."""
        self.nonce += 1
        signed = compute_signed_legs(((bid.series, bid.ratio),))
        digest = compute_bid_digest(self.domain, self.index, bid.target, signed, (bid.units, bid.limit, self.nonce, bid.valid_until))
        return "straddle/bid", {
            "account": self.index,
            "target": bid.target,
            "legs": [{"instrument_name": encode_instrument(bid.series), "ratio": bid.ratio}],
            "amount": bid.units,
            "limit": bid.limit,
            "nonce": self.nonce,
            "valid_until": bid.valid_until,
            "signature": encode_signature(sign(self.key, digest)),
        }

    def skip_nonces(self) -> None:
        """The account has used these nonces before we came: twice as high, until one is free."""
        self.order_nonce += 1 + self.order_nonce

    def sign_withdrawal(self, amount: int) -> Request:
        """At most `amount`, 1e-6 USD."""
        self.nonce += 1
        digest = compute_withdraw_digest(self.domain, self.index, amount, self.nonce)
        signature = encode_signature(sign(self.key, digest))
        return "private/withdraw", {"account": self.index, "amount": amount, "nonce": self.nonce, "signature": signature}

    def sign_login(self, challenge: str, chain_id: int, vault: int) -> Request:
        """EIP-191 over the connection's challenge."""
        head = f"Straddle login\nchain {chain_id}\nvault 0x{vault:040x}\n"
        text = f"{head}account {self.index}\nchallenge {challenge}".encode()
        digest = keccak(b"\x19Ethereum Signed Message:\n%d" % len(text) + text)
        return "public/auth", {"account": self.index, "signature": encode_signature(sign(self.key, digest))}
