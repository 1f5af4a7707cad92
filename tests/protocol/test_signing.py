"""Who signed, held against an implementation that shares no code with ours; digests, against one that encodes types in general."""

from typing import Any

from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_keys.backends.native.main import NativeECCBackend
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.signing import HALF_ORDER, compute_domain, compute_order_digest, get_signer
from sim.scribe import get_address, make_key, sign

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
EDGES = (0, 1, HALF_ORDER, HALF_ORDER + 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1)
DIGESTS = st.binary(min_size=32, max_size=32)
SCALARS = st.sampled_from(EDGES) | st.integers(0, 2**256 - 1)
NAMES = ("account", "underlying", "expiry", "strike", "isCall", "isBuy", "price", "lots", "nonce", "generation", "validUntil")
FLAGS = ("isCall", "isBuy")


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


@settings(max_examples=60, deadline=None)
@given(terms=st.tuples(*(st.integers(0, 1) if name in FLAGS else st.integers(0, 2**256 - 1) | st.integers(0, 2**64) for name in NAMES)))
def test_order_digest__any_terms__same_as_typed_data(terms: tuple[int, ...]) -> None:
    message: dict[str, Any] = {name: bool(term) if name in FLAGS else term for name, term in zip(NAMES, terms, strict=True)}
    typed = encode_typed_data(
        {"name": "Straddle", "version": "1", "chainId": 7, "verifyingContract": "0x" + f"{99:040x}"},
        {"Order": [{"name": name, "type": "bool" if name in FLAGS else "uint256"} for name in NAMES]},
        message,
    )
    assert compute_order_digest(compute_domain(7, 99), terms) == _hash_eip191_message(typed)
