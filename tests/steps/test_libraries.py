"""The step libraries against their Python twins: numbers, leaves, positions, digests, signers."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import contracts.build
from protocol.codec.frames import compute_chunk_hashes, compute_signature_chunks, compute_signatures_hash
from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.merkle import EMPTY_ROOTS, Tree
from protocol.positions import apply_lots, get_lots, is_bounded
from protocol.signing import (
    compute_cancel_digest,
    compute_mark_digest,
    compute_order_digest,
    compute_withdraw_digest,
    get_signature,
    get_signer,
)
from protocol.types import (
    MAX_LOTS,
    Globals,
    Header,
    Market,
    Order,
    Phase,
    Record,
    Trade,
    compute_account_leaf,
    compute_globals_leaf,
    compute_header_leaf,
    compute_market_leaf,
    compute_order_leaf,
    compute_outbox_leaf,
    compute_positions_hash,
    compute_record_hash,
    compute_trade_hash,
    encode_position,
    is_risky,
)
from protocol.witness import EMPTY_MARKET, _encode_market
from sim.evm import Contract, Evm, Reverted
from sim.twins.dice import ALL_RULES, DOMAIN, FILLER, Dice, get_keys
from sim.twins.worlds import get_pool, make_account, make_positions, make_world

LIB = contracts.build.HERE / "lib"
HEADER_HASHES = ("state", "inbox", "record", "rows", "signatures", "scratch")
RECORD_HASHES = ("messages", "frames")
HARNESS = Path(__file__).resolve().parent / "harness.vy"


class Harness:
    """The libraries' internal functions, deployed."""

    def __init__(self) -> None:
        built = contracts.build.compile_artifact(HARNESS)
        self.evm = Evm()
        artifact = contracts.Artifact("harness", tuple(built["abi"]), bytes.fromhex(built["bytecode"]), 0, {})
        self.contract: Contract = self.evm.deploy(self.evm.create_account(), artifact)

    def __call__(self, function: str, *args: object) -> Any:  # what the ABI says
        return self.evm.call(self.contract, function, *args)


@cache
def get_harness() -> Harness:
    return Harness()


def read_constants(name: str) -> dict[str, int]:
    found = re.findall(r"^(\w+): constant\(uint256\) = (\d+)$", (LIB / name).read_text(), re.MULTILINE)
    return {key: int(value) for key, value in found}


def test_codes_are_equal() -> None:
    assert read_constants("codes.vy") == {code.name: code.value for code in Code}


def test_phases_are_equal() -> None:
    constants = read_constants("machine.vy")
    assert {name: constants[name] for name in Phase.__members__} == {phase.name: phase.value for phase in Phase}


def test_leaves_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()

    def numbers(count: int) -> list[int]:
        return [dice.make_number() for _ in range(count)]

    for _ in range(40):
        g = Globals(*numbers(8))._replace(allowance=dice.choice((-1, -(2**255), 2**255 - 1, 0)))
        assert call("globals_leaf", g) == compute_globals_leaf(g)
        h = Header(*(dice.make_hash() if name in HEADER_HASHES else dice.make_number() for name in Header._fields))  # type: ignore[arg-type]
        assert call("header_leaf", h) == compute_header_leaf(h)
        r = Record(*(dice.make_hash() if name in RECORD_HASHES else dice.make_number() for name in Record._fields))  # type: ignore[arg-type]
        assert call("record_hash", r) == compute_record_hash(r)
        o = Order(*numbers(8))._replace(lots=dice.randrange(1, 99))
        assert call("order_leaf", o) == compute_order_leaf(o)
        t = Trade(*numbers(8))._replace(maker_lots=-dice.randrange(99))
        assert call("trade_hash", t) == compute_trade_hash(t)
        a = make_account(dice, dice.getrandbits(160) | 1, get_pool()[0][1], 2)
        positions, orders = dice.make_hash(), dice.make_hash()
        assert call("account_leaf", (*a[:5], positions, orders)) == compute_account_leaf(a, positions, orders)
        entry = numbers(3)
        assert call("outbox_leaf", *entry) == compute_outbox_leaf(*entry)


def test_market_leaves_are_equal() -> None:
    for markets, _ in get_pool():
        for market in markets:
            assert get_harness()("market_leaf", _encode_market(market)) == compute_market_leaf(market)


def test_nothing_hides_behind_a_zero_leaf() -> None:
    call = get_harness()
    assert call("market_leaf", EMPTY_MARKET) == ZERO == compute_market_leaf(Market())
    assert call("order_leaf", Order()) == ZERO
    none = compute_positions_hash(())
    assert call("account_leaf", (0, 0, 0, 0, 0, none, ZERO)) == ZERO
    slices = EMPTY_MARKET[2]
    for market in ((1, 0, slices), (0, 0, (*slices[:-1], (0, 0, 0, 0, 0, 0, 1)))):
        with pytest.raises(Reverted, match="types: market"):
            call("market_leaf", market)
    for name in Order._fields:
        if name != "lots":
            with pytest.raises(Reverted, match="types: order"):
                call("order_leaf", Order()._replace(**{name: 1}))
    for account in ((0, 1, 0, 0, 0), (0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)):
        with pytest.raises(Reverted, match="types: account"):
            call("account_leaf", (*account, none, ZERO))
    with pytest.raises(Reverted, match="types: account"):
        call("account_leaf", (0, 0, 0, 0, 0, ZERO, ZERO))


def test_folds_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()
    for depth in (1, 2, 9, 26):
        tree = Tree(depth)
        indices = [dice.randrange(1 << depth) for _ in range(5)]
        for index in indices:
            tree.set_leaf(index, dice.make_hash())
        for index in indices:
            root, path, old, new = tree.get_root(), tree.prove(index), tree.get_leaf(index), dice.make_hash()
            tree.set_leaf(index, new)
            assert call("fold", root, index, depth, old, new, path) == tree.get_root()
            with pytest.raises(Reverted, match="merkle: leaf"):
                call("fold", root, index, depth, new, new, path)
            with pytest.raises(Reverted, match="merkle: path"):
                call("fold", root, index | 1 << depth, depth, old, new, path)
            with pytest.raises(Reverted, match="merkle: path"):
                call("fold", root, index, depth, old, new, [*path, ZERO])
    assert call("fold", EMPTY_ROOTS[3], 5, 3, ZERO, ZERO, list(EMPTY_ROOTS[:3])) == EMPTY_ROOTS[3]


def test_positions_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()
    series = get_pool()[2][1]
    for count in (0, 1, 2, 5, 128, 128, 3, 2, 1, 5, 8, 30):
        held = make_positions(dice, series, count)
        packed = [encode_position(position) for position in held]
        own = dice.choice(held) if held else (series[0], 1)
        for of, change in ((own[0], -own[1]), (own[0], MAX_LOTS), (dice.choice(series), -MAX_LOTS), (1, 1), (2**97 - 1, -7)):
            after = apply_lots(held, of, change)
            expected = (
                [encode_position(position) for position in after],
                compute_positions_hash(after),
                is_bounded(after),
                is_risky(0, after),
            )
            merged, *rest = call("apply_lots", packed, of, change)
            assert (list(merged), *rest) == expected
            assert call("get_lots", packed, of) == get_lots(held, of)


def test_digests_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()
    for _ in range(30):
        terms = [dice.make_number() for _ in range(11)]
        assert call("order_digest", DOMAIN, terms) == compute_order_digest(DOMAIN, tuple(terms))
        assert call("cancel_digest", DOMAIN, *terms[:2]) == compute_cancel_digest(DOMAIN, *terms[:2])
        assert call("withdraw_digest", DOMAIN, *terms[:3]) == compute_withdraw_digest(DOMAIN, *terms[:3])
        items = [6, *(dice.make_number() for _ in range(4 + 7 * dice.choice((1, 2, 16))))]
        assert call("mark_digest", DOMAIN, items) == compute_mark_digest(DOMAIN, items[1], items[2], items[3], items[4], tuple(items[5:]))


def test_signers_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()
    found = set()
    for at in range(200):
        digest = dice.make_hash()
        key = dice.choice(get_keys())
        signature = dice.make_signature(key, digest, dice.chance(0.3))
        source, number = dice.place_signatures([signature], dice.chance(0.8))
        chunks = compute_signature_chunks(source)
        chunk = chunks[number >> 5] if number >> 5 < len(chunks) else b""
        expected = get_signer(digest, get_signature(source, number))
        found.add(expected == key.address)
        args = digest, compute_chunk_hashes(source), chunk, number, compute_signatures_hash(source)
        assert call("signer", *args) == expected, (at, source.hex(), number)
    assert found == {True, False}


def test_chunks_that_are_not_the_sources_revert() -> None:
    call = get_harness()
    source = FILLER[: 65 * 40]
    hashes, (first, second) = compute_chunk_hashes(source), compute_signature_chunks(source)
    whole = compute_signatures_hash(source)
    for bad_hashes, chunk, index in ((hashes[:1], first, 3), (hashes[::-1], first, 3), ([], b"", 3)):
        with pytest.raises(Reverted, match="signatures: hashes"):
            call("signer", ZERO, bad_hashes, chunk, index, whole)
    for chunk, index in ((second, 3), (first, 32), (b"", 3), (first[:-1], 3), (first + b"\0" * 0, 39)):
        with pytest.raises(Reverted, match="signatures: chunk"):
            call("signer", ZERO, hashes, chunk, index, whole)
    assert call("signer", ZERO, hashes, b"", 64, whole) == 0
    assert call("signer", ZERO, hashes, second, 40, whole) == 0


def test_worlds_are_states_that_a_machine_could_be_in(seed: int) -> None:
    """Else equality on them would say nothing."""
    dice = Dice(seed)
    for at in range(60):
        world = make_world(dice, ALL_RULES[at % 2])
        for index in world.indices:
            account = world.state.get_account(index)
            assert index < world.state.globals.accounts
            assert is_bounded(account.positions)
            assert list(account.positions) == sorted(account.positions)
            bit = world.state.get_word(index >> 8) >> (index & 255) & 1
            assert bit == bool(account.flag or is_risky(account.cash, account.positions))
