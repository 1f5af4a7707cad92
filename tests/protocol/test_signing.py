"""Who signed, held against an implementation that shares no code with ours; digests, against one that encodes types in general."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_keys.backends.native.main import NativeECCBackend
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.signing import (
    HALF_ORDER,
    compute_authorize_digest,
    compute_bid_digest,
    compute_cancel_digest,
    compute_combo_digest,
    compute_domain,
    compute_legs_hash,
    compute_mark_digest,
    compute_order_digest,
    compute_page_hash,
    compute_pool_digest,
    compute_settle_digest,
    compute_sheet_digest,
    compute_withdraw_digest,
    get_signer,
)
from sim.scribe import get_address, make_key, sign

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
EDGES = (0, 1, HALF_ORDER, HALF_ORDER + 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1)
DIGESTS = st.binary(min_size=32, max_size=32)
SCALARS = st.sampled_from(EDGES) | st.integers(0, 2**256 - 1)
LIMITS = {"postOnly": "bool", "reduceOnly": "bool", "fillOrKill": "bool", "feeCap": "uint256"}
LIFE = {"nonce": "uint256", "generation": "uint256", "validUntil": "uint256"}


def name_words(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "uint256")


SERIES = {**name_words("underlying", "expiry", "strike"), "isCall": "bool"}
TYPES: dict[str, dict[str, str]] = {
    "Order": {"account": "uint256", **SERIES, "isBuy": "bool", **name_words("price", "lots"), **LIMITS, **LIFE},
    "Combo": {"account": "uint256", "legs": "Leg[]", "isBuy": "bool", "price": "int256", "lots": "uint256", **LIMITS, **LIFE},
    "Bid": {**name_words("account", "target"), "legs": "Leg[]", "units": "uint256", "limit": "int256", **name_words("nonce", "validUntil")},
    "Leg": {**SERIES, "ratio": "int256"},
    "Sheet": {"account": "uint256", "pages": "Page[]", **LIFE},
    "Page": {**name_words("underlying", "expiry", "maxLots"), "quotes": "Quote[]"},
    "Quote": {"strike": "uint256", "isCall": "bool", **name_words("bid", "bidLots", "ask", "askLots")},
    "Authorize": {"account": "uint256", "key": "address", **name_words("scope", "expiry", "nonce")},
    "EnterPool": name_words("account", "amount", "nonce"),
    "LeavePool": name_words("account", "shares", "nonce"),
    "Settle": name_words("underlying", "expiry", "price"),
    "Cancel": name_words("account", "nonce"),
    "Withdraw": name_words("account", "amount", "nonce"),
    "Mark": {**name_words("underlying", "previous", "time", "index"), "slices": "uint256[]"},
}
Digest = Callable[[bytes, dict[str, Any]], bytes]


def recover(digest: bytes, signature: bytes) -> int:
    """By pure Python, with our two conditions on top: the lower half, and 27 or 28."""
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64] - 27
    if v not in (0, 1) or s > HALF_ORDER:
        return 0
    try:
        key = NativeECCBackend().ecdsa_recover(digest, Signature(vrs=(v, r, s)))
    except (BadSignature, ValidationError, ValueError):
        return 0
    return int.from_bytes(key.to_canonical_address(), "big")


@settings(max_examples=60, deadline=None)
@given(digest=DIGESTS, r=SCALARS, s=SCALARS, v=st.sampled_from((0, 1, 26, 27, 28, 29, 30, 255)))
def test_any_bytes__same_signer_as_the_reference(digest: bytes, r: int, s: int, v: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((v,))
    assert get_signer(digest, signature) == recover(digest, signature)


@settings(max_examples=40, deadline=None)
@given(digest=DIGESTS, seed=st.integers(0, 1_000), other=DIGESTS, at=st.integers(0, 64), flip=st.integers(1, 255))
def test_signed__signer_is_found__and_changed_it_is_who_the_reference_says(
    digest: bytes, seed: int, other: bytes, at: int, flip: int
) -> None:
    key = make_key(seed)
    signature = sign(key, digest)
    assert get_signer(digest, signature) == get_address(key) == recover(digest, signature)
    assert get_signer(other, signature) == recover(other, signature)
    changed = bytearray(signature)
    changed[at] ^= flip
    assert get_signer(digest, bytes(changed)) == recover(digest, bytes(changed))


@given(digest=DIGESTS, seed=st.integers(0, 1_000))
def test_the_other_form_of_a_signature__nobody(digest: bytes, seed: int) -> None:
    signature = sign(make_key(seed), digest)
    s = ORDER - int.from_bytes(signature[32:64], "big")
    assert get_signer(digest, signature[:32] + s.to_bytes(32, "big") + bytes((55 - signature[64],))) == 0


@given(digest=st.binary(max_size=70), signature=st.none() | st.binary(max_size=140))
def test_wrong_lengths__nobody(digest: bytes, signature: bytes | None) -> None:
    if len(digest) != 32 or signature is None or len(signature) != 65:
        assert get_signer(digest, signature) == 0


def test_signature_cut_or_grown__nobody() -> None:
    digest = bytes(range(32))
    signature = sign(make_key(1), digest)
    assert get_signer(digest, signature) != 0
    assert [get_signer(digest, bad) for bad in (None, b"", signature[:64], signature + b"\0")] == [0, 0, 0, 0]
    assert get_signer(digest[:31], signature) == get_signer(digest + b"\0", signature) == 0


def draw(kind: str, label: str, data: st.DataObject) -> Any:
    """A value of an EIP-712 type, at its edges too."""
    if kind.endswith("[]"):
        return [draw(kind[:-2], label, data) for _ in range(data.draw(st.integers(0, 4), label))]
    if kind in TYPES:
        return {name: draw(of, name, data) for name, of in TYPES[kind].items()}
    if kind == "bool":
        return data.draw(st.booleans(), label)
    if kind == "address":
        return "0x" + f"{data.draw(st.integers(0, 2**160 - 1), label):040x}"
    if kind == "int256":
        return data.draw(st.integers(-(2**63), 2**63) | st.integers(-(2**255), 2**255 - 1), label)
    return data.draw(st.integers(0, 2**64) | st.integers(0, 2**256 - 1), label)


def find_types(kind: str) -> dict[str, Any]:
    """The type with those that it is made of, as wallets want them."""
    found = {kind: [{"name": name, "type": of} for name, of in TYPES[kind].items()]}
    for of in TYPES[kind].values():
        if of.removesuffix("[]") in TYPES:
            found.update(find_types(of.removesuffix("[]")))
    return found


def flatten(message: dict[str, Any]) -> tuple[int, ...]:
    """The members of a struct without structs inside."""
    return tuple(int(value, 16) if isinstance(value, str) else int(value) for value in message.values())


def hash_legs(message: dict[str, Any]) -> bytes:
    return compute_legs_hash([flatten(leg) for leg in message["legs"]])  # type: ignore[misc]  # five members each


def hash_page(page: dict[str, Any]) -> bytes:
    quotes = [flatten(quote) for quote in page["quotes"]]
    return compute_page_hash(page["underlying"], page["expiry"], page["maxLots"], quotes)


def digest_flat(compute: Callable[..., bytes]) -> Digest:
    """Of a function that takes the members one by one."""
    return lambda domain, message: compute(domain, *flatten(message))


def digest_tail(message: dict[str, Any], skipped: int) -> tuple[int, ...]:
    return flatten(dict(list(message.items())[skipped:]))


DIGESTERS: dict[str, Digest] = {
    "Order": lambda domain, message: compute_order_digest(domain, flatten(message)),
    "Combo": lambda domain, m: compute_combo_digest(domain, m["account"], hash_legs(m), digest_tail(m, 2)),
    "Bid": lambda domain, m: compute_bid_digest(domain, m["account"], m["target"], hash_legs(m), digest_tail(m, 3)),
    "Sheet": lambda domain, m: compute_sheet_digest(domain, m["account"], [hash_page(page) for page in m["pages"]], *digest_tail(m, 2)),
    "Authorize": digest_flat(compute_authorize_digest),
    "EnterPool": lambda domain, m: compute_pool_digest(domain, m["account"], m["amount"], m["nonce"], False),
    "LeavePool": lambda domain, m: compute_pool_digest(domain, m["account"], m["shares"], m["nonce"], True),
    "Settle": digest_flat(compute_settle_digest),
    "Cancel": digest_flat(compute_cancel_digest),
    "Withdraw": digest_flat(compute_withdraw_digest),
    "Mark": lambda domain, m: compute_mark_digest(domain, m["underlying"], m["previous"], m["time"], m["index"], tuple(m["slices"])),
}


@pytest.mark.parametrize("kind", DIGESTERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_terms__same_digest_as_typed_data(kind: str, data: st.DataObject) -> None:
    message = draw(kind, kind, data)
    typed = encode_typed_data(
        {"name": "Straddle", "version": "1", "chainId": 7, "verifyingContract": "0x" + f"{99:040x}"}, find_types(kind), message
    )
    assert DIGESTERS[kind](compute_domain(7, 99), message) == _hash_eip191_message(typed)


def test_types_are_what_the_page_says() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol" / "machine.md").read_text()
    for kind, members in TYPES.items():
        assert f"{kind}({','.join(f'{of} {name}' for name, of in members.items())})\n" in text
