"""What a simulated trader signs is what the rules recover."""

from node.instruments import decode_instrument
from protocol.keccak import keccak
from protocol.operations import MAX_FEE_CAP
from protocol.series import decode_series, encode_series
from protocol.signing import compute_order_digest, compute_withdraw_digest, get_signer
from sim.actors.makers import Place
from sim.actors.trader import Trader
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
    order = trader.sign_order(Place(12, SERIES, 1, 12_300, 40, NOW), True)
    series = decode_instrument(order["instrument_name"])
    terms = (order["account"], *decode_series(series), int(order["direction"] == "buy"), order["price"], order["amount"])
    validity = (order["nonce"], order["generation"], order["valid_until"])
    digest = compute_order_digest(DOMAIN, (*terms, 0, 0, 0, MAX_FEE_CAP, *validity))
    assert get_signer(digest, get_signature(order["signature"])).to_bytes(20, "big") == trader.owner
    assert (series, order["nonce"], order["generation"], order["time_in_force"]) == (SERIES, 1, 3, "immediate_or_cancel")


def test_nonces__used_before_we_came__grow_until_one_is_free() -> None:
    trader = make_trader()
    tries = 0
    while trader.sign_order(Place(12, SERIES, 1, 12_300, 40, NOW), False)["nonce"] <= 5_000:
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
