"""One account of a simulated trader: its key, its nonces, and the requests that it signs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey

from node.instruments import encode_instrument
from protocol.keccak import keccak
from protocol.operations import MAX_FEE_CAP
from protocol.series import decode_series
from protocol.signing import compute_order_digest, compute_withdraw_digest
from sim.actors.makers import Place
from sim.actors.takers import Take
from sim.scribe import get_address, sign

Request = tuple[str, Mapping[str, Any]]


def encode_signature(signature: bytes) -> str:
    """As the API takes it."""
    return "0x" + signature.hex()


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

    def sign_order(self, terms: Place | Take, is_immediate: bool) -> dict[str, Any]:
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
