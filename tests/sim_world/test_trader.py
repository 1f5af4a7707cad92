"""What a simulated trader signs is what the rules recover."""

from node.instruments import decode_instrument
from protocol.keccak import keccak
from protocol.legs import compute_signed_legs
from protocol.operations import MAX_FEE_CAP
from protocol.series import decode_series, encode_series
from protocol.signing import (
    compute_bid_digest,
    compute_order_digest,
    compute_page_hash,
    compute_sheet_digest,
    compute_withdraw_digest,
    get_signer,
)
from sim.actors.trader import Bid, Order, Trader
from sim.scribe import make_key

NOW = 1_790_000_000
DOMAIN = keccak(b"a domain")
SERIES = encode_series(0, NOW - NOW % 86_400 + 8 * 3_600 + 7 * 86_400, 95_000_000_000, 1)


def make_trader() -> Trader:
    return Trader(make_key(7), DOMAIN, 12, generation=3, nonce=4)


def get_signature(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def test_order__signed__recovers_the_owner_over_its_terms() -> None:
    trader = make_trader()
    order = trader.sign_order(Order(12, SERIES, 1, 12_300, 40, NOW), True)
    series = decode_instrument(order["instrument_name"])
    terms = (order["account"], *decode_series(series), int(order["direction"] == "buy"), order["price"], order["amount"])
    validity = (order["nonce"], order["generation"], order["valid_until"])
    digest = compute_order_digest(DOMAIN, (*terms, 0, 0, 0, MAX_FEE_CAP, *validity))
    assert get_signer(digest, get_signature(order["signature"])).to_bytes(20, "big") == trader.owner
    assert (series, order["nonce"], order["generation"], order["time_in_force"]) == (SERIES, 1, 3, "immediate_or_cancel")


def test_nonces__used_before_we_came__grow_until_one_is_free() -> None:
    trader = make_trader()
    tries = 0
    while trader.sign_order(Order(12, SERIES, 1, 12_300, 40, NOW), False)["nonce"] <= 5_000:
        trader.skip_nonces()
        tries += 1
    assert tries < 15


def test_withdrawal__signed__recovers_the_owner_and_uses_the_next_nonce() -> None:
    trader = make_trader()
    method, params = trader.sign_withdrawal(5_000_000)
    digest = compute_withdraw_digest(DOMAIN, 12, 5_000_000, 5)
    assert (method, params["nonce"]) == ("private/withdraw", 5)
    assert get_signer(digest, get_signature(params["signature"])).to_bytes(20, "big") == trader.owner


def test_login__signed__recovers_the_owner_over_the_challenge() -> None:
    trader = make_trader()
    _, params = trader.sign_login("ab12", 31_337, 0x57AD)
    text = f"Straddle login\nchain 31337\nvault 0x{0x57AD:040x}\naccount 12\nchallenge ab12".encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n%d" % len(text) + text)
    assert get_signer(digest, get_signature(params["signature"])).to_bytes(20, "big") == trader.owner


def test_sheet__signed__recovers_the_owner_and_uses_a_nonce_a_page() -> None:
    trader = make_trader()
    underlying, expiry, strike, is_call = decode_series(SERIES)
    pages = [(underlying, expiry, 50, ((strike, is_call, 100, 5, 110, 6),)), (1, expiry, 9, ())]
    method, params = trader.sign_sheet(pages, NOW)
    hashes = tuple(compute_page_hash(*page) for page in pages)
    digest = compute_sheet_digest(DOMAIN, 12, hashes, 1, 3, NOW)
    assert (method, params["nonce"]) == ("straddle/quotes", 1)
    assert get_signer(digest, get_signature(params["signature"])) == int.from_bytes(trader.owner, "big")
    quote = {"strike": strike, "option_type": "call", "bid": 100, "bid_amount": 5, "ask": 110, "ask_amount": 6}
    assert params["pages"][0] == {"currency": "BTC", "expiry": expiry, "max_amount": 50, "quotes": [quote]}
    assert trader.sign_sheet(pages[:1], NOW)[1]["nonce"] == 3


def test_bid__signed__recovers_the_owner_over_its_terms() -> None:
    trader = make_trader()
    method, params = trader.sign_bid(Bid(5, SERIES, -1, 40, -700, NOW))
    digest = compute_bid_digest(DOMAIN, 12, 5, compute_signed_legs(((SERIES, -1),)), (40, -700, 5, NOW))
    assert (method, params["nonce"], params["limit"]) == ("straddle/bid", 5, -700)
    assert get_signer(digest, get_signature(params["signature"])) == int.from_bytes(trader.owner, "big")
