"""The step libraries against their Python twins: numbers, leaves, positions, digests, signers."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import contracts.build
from protocol.codec.frames import compute_chunk_hashes, compute_signature_chunks, compute_signatures_hash
from protocol.codes import Code
from protocol.keccak import ZERO, keccak
from protocol.legs import compute_signed_legs, decode_legs, pack_leg
from protocol.merkle import EMPTY_ROOTS, Tree
from protocol.operations import LEG_ITEMS
from protocol.positions import apply_legs, get_lots, is_bounded, is_shrinking
from protocol.quotes import fill_quote, get_quote_order, has_quote
from protocol.series import decode_series
from protocol.signing import (
    compute_authorize_digest,
    compute_bid_digest,
    compute_cancel_digest,
    compute_combo_digest,
    compute_mark_digest,
    compute_order_digest,
    compute_page_hash,
    compute_pool_digest,
    compute_settle_digest,
    compute_sheet_digest,
    compute_withdraw_digest,
    get_signature,
    get_signer,
)
from protocol.state import get_word_index
from protocol.types import (
    MAX_LOTS,
    MAX_QUOTES,
    MAX_RATIO,
    MAX_SLICES,
    Bitmap,
    Globals,
    Header,
    Market,
    Order,
    Page,
    Phase,
    Record,
    Sweep,
    Trade,
    TwoWay,
    compute_account_leaf,
    compute_globals_leaf,
    compute_header_leaf,
    compute_market_leaf,
    compute_order_body,
    compute_outbox_leaf,
    compute_page_body,
    compute_positions_hash,
    compute_record_hash,
    compute_slot_leaf,
    compute_sweep_hash,
    compute_trade_hash,
    encode_legs,
    encode_market,
    encode_order,
    encode_page,
    encode_position,
    is_holder,
    is_risky,
)
from sim.evm import Contract, Evm, Reverted
from sim.twins.dice import ALL_RULES, DOMAIN, FILLER, Dice, get_keys
from sim.twins.worlds import get_pool, make_account, make_positions, make_world

LIB = contracts.build.HERE / "lib"
HEADER_HASHES = ("state", "inbox", "record", "rows", "signatures", "scratch")
SIGNED = ("total", "deficit", "loss", "before", "pot", "equity", "maintenance")
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


def encode_words_of_market(market: Market) -> tuple[Any, ...]:
    """As ABI wants it."""
    words = encode_market(market)
    slices = [words[2 + 8 * at : 10 + 8 * at] for at in range(MAX_SLICES)]
    return *words[:2], slices, *words[2 + 8 * MAX_SLICES :]


def encode_words_of_order(order: Order) -> tuple[Any, ...]:
    words = encode_order(order)
    return *words[:2], words[2:6], *words[6:]


def encode_words_of_page(page: Page) -> tuple[Any, ...]:
    words = encode_page(page)
    return *words[:-MAX_QUOTES], words[-MAX_QUOTES:]


def draw_legs(dice: Dice, series: list[int], most: int = 4) -> tuple[int, ...]:
    chosen = sorted(dice.sample(series, dice.randrange(1, most + 1)))
    return tuple(pack_leg(item, dice.choice((-1, 1)) * dice.randrange(1, MAX_RATIO + 1)) for item in chosen)


def draw_page(dice: Dice) -> Page:
    """Fields at the ends of what a sheet may say; partly filled."""

    def draw_side() -> tuple[int, int]:
        return dice.choice((0, 1, 2**37 - 1)), dice.choice((1, 7, MAX_LOTS))

    quotes = tuple(
        TwoWay(
            dice.choice((10_000, 2**43 - 1, 5 * 10**10)),
            dice.randrange(2),
            *draw_side(),
            *draw_side(),
            dice.randrange(2),
            dice.randrange(2),
        )
        for _ in range(dice.randrange(MAX_QUOTES + 1))
    )
    head = dice.randrange(1, 2**64), dice.randrange(2**64), dice.randrange(9), dice.getrandbits(40)
    return Page(*head, dice.randrange(2), dice.getrandbits(40), dice.choice((2, 9, 2**26 - 1)), dice.randrange(3), quotes)


def test_leaves_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()

    def numbers(count: int) -> list[int]:
        return [dice.make_number() for _ in range(count)]

    def signed() -> int:
        return dice.choice((-1, -(2**255), 2**255 - 1, 0, dice.getrandbits(99)))

    for _ in range(40):
        g = Globals(*numbers(len(Globals._fields)))._replace(allowance=signed(), pool=signed())
        assert call("globals_leaf", g) == compute_globals_leaf(g)
        h = Header(*(dice.make_hash() if name in HEADER_HASHES else dice.make_number() for name in Header._fields))  # type: ignore[arg-type]
        assert call("header_leaf", h) == compute_header_leaf(h)
        r = Record(*(dice.make_hash() if name in RECORD_HASHES else dice.make_number() for name in Record._fields))  # type: ignore[arg-type]
        assert call("record_hash", r) == compute_record_hash(r)
        legs = draw_legs(dice, get_pool()[0][1])
        (maker, maker_slot, taker, taker_slot), (fee, flags, nonce) = numbers(4), numbers(3)
        t = Trade(maker, maker_slot, taker, taker_slot, legs, signed(), signed(), fee, flags, signed(), signed(), nonce)
        assert call("trade_hash", (*t[:4], encode_legs(t.legs), *t[5:])) == compute_trade_hash(t)
        drawn = {name: signed() if name in SIGNED else dice.make_number() for name in Sweep._fields[:-1]}
        w = Sweep(**drawn, lines=dice.make_hash())
        assert call("sweep_hash", w) == compute_sweep_hash(w)
        a = make_account(dice, dice.getrandbits(160) | 1, get_pool()[0][1], 2)
        a = a._replace(session=dice.make_number(), sheet=dice.make_number(), shares=dice.make_number(), request=signed(), request_time=5)
        positions, orders = dice.make_hash(), dice.make_hash()
        assert call("account_leaf", (*a[:5], positions, *a[6:], orders)) == compute_account_leaf(a, positions, orders)
        entry = numbers(3)
        assert call("outbox_leaf", *entry) == compute_outbox_leaf(*entry)


def test_leaves_of_order_slots_are_equal__an_order_or_a_page_and_never_both(seed: int) -> None:
    dice, call = Dice(seed), get_harness()
    none, nothing = encode_words_of_order(Order()), encode_words_of_page(Page())
    for _ in range(40):
        legs = draw_legs(dice, get_pool()[0][1])
        order = Order(
            dice.randrange(1, 2**256), dice.make_number(), legs, 1, -dice.getrandbits(40), *(dice.make_number() for _ in range(5))
        )
        body = encode_words_of_order(order)
        assert call("entry_leaf", body, nothing) == compute_slot_leaf(order.nonce, compute_order_body(order))
        page = draw_page(dice)
        words = encode_words_of_page(page)
        assert call("entry_leaf", none, words) == compute_slot_leaf(page.nonce, compute_page_body(page))
        with pytest.raises(Reverted, match="types: slot"):
            call("entry_leaf", body, words)
    assert call("entry_leaf", none, nothing) == ZERO


def test_market_leaves_are_equal(seed: int) -> None:
    dice = Dice(seed)
    for markets, _ in get_pool():
        for market in markets:
            breaker = market._replace(
                window=dice.getrandbits(40), low=dice.getrandbits(42), high=3, low_before=4, high_before=5, halted_until=6
            )
            for item in (market, breaker):
                if item.mark_time or item == Market():
                    assert get_harness()("market_leaf", encode_words_of_market(item)) == compute_market_leaf(item)


def test_nothing_hides_behind_a_zero_leaf() -> None:
    call = get_harness()
    empty = list(encode_words_of_market(Market()))
    assert call("market_leaf", empty) == ZERO == compute_market_leaf(Market())
    none = compute_positions_hash(())
    nobody = (0, 0, 0, 0, 0, none, *[0] * 5, ZERO)
    assert call("account_leaf", nobody) == ZERO
    slices = empty[2]
    for at in range(len(empty)):
        if at != 1:  # the mark time: with it, it is a market
            market = [*empty[:at], [*slices[:-1], (0, 0, 0, 0, 0, 0, 0, 1)] if at == 2 else 1, *empty[at + 1 :]]
            with pytest.raises(Reverted, match="types: market"):
                call("market_leaf", market)
    for at in range(1, len(nobody) - 1):
        account = (*nobody[:at], ZERO if at == 5 else 1, *nobody[at + 1 :])
        with pytest.raises(Reverted, match="types: account"):
            call("account_leaf", account)


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
    shrinking = set()
    for count in (0, 1, 2, 5, 128, 128, 3, 2, 1, 5, 8, 30) * 2:
        held = make_positions(dice, series, count)
        packed = [encode_position(position) for position in held]
        own = dice.sample(held, min(2, len(held)))
        closing = tuple(pack_leg(of, -1 if lots > 0 else 1) for of, lots in sorted(own))
        changes = ((closing, 1), (closing, max((abs(lots) for _, lots in own), default=1)))
        for legs, units in (
            *changes,
            (draw_legs(dice, series), 1),
            (draw_legs(dice, series), -MAX_LOTS),
            ((pack_leg(1, 1), pack_leg(2**97 - 1, -7)), 7),
        ):
            after = apply_legs(held, legs, units)
            expected = (
                [encode_position(position) for position in after],
                compute_positions_hash(after),
                is_bounded(after),
                is_risky(0, after),
            )
            words = encode_legs(legs)
            merged, *rest = call("apply_legs", packed, words, units)
            assert (list(merged), *rest) == expected
            shrinks = is_shrinking(held, legs, units)
            assert call("is_shrinking", packed, words, units) == shrinks
            shrinking.add(shrinks)
            for leg in legs:
                assert call("get_lots", packed, leg >> 32) == get_lots(held, leg >> 32)
    assert shrinking == {True, False}


def test_legs_are_equal(seed: int) -> None:
    """Good ones, and with one item of them anything."""
    dice, call = Dice(seed), get_harness()
    series, found = get_pool()[2][1], set()
    for _ in range(150):
        items: list[int] = []
        for leg in draw_legs(dice, series):
            underlying, expiry, strike, is_call = decode_series(leg >> 32)
            ratio = (leg & 2**32 - 1) - 2**31
            items += [underlying, expiry, strike // 10_000 << 1 | is_call, ratio << 1 if ratio > 0 else (-ratio << 1) - 1]
        if dice.chance(0.6):
            items[dice.randrange(len(items))] = dice.choice((dice.make_number(), 0, dice.choice(items), 200, 202))
        if dice.chance(0.2) and len(items) < 4 * LEG_ITEMS:
            items += items[-LEG_ITEMS:]
        legs, code = decode_legs(tuple(items))
        packed, answer, hashed = call("decode_legs", [7, 7, *items], 2)
        assert answer == code
        if code == Code.OK:
            assert tuple(packed) == encode_legs(tuple(pack_leg(*leg) for leg in legs))
            assert hashed == compute_signed_legs(legs)
        found.add(code)
    assert found == {Code.OK, Code.SERIES, Code.LEGS}


def test_quotes_are_equal(seed: int) -> None:
    """Every side of every quote as an order, and the page after it filled."""
    dice, call = Dice(seed), get_harness()
    for _ in range(12):
        page = draw_page(dice)
        for ref in range(1, 2 * MAX_QUOTES + 1):
            words = encode_words_of_page(page)
            if not has_quote(page, ref):
                assert not call("quote", words, ref)[0]
                continue
            order = get_quote_order(page, ref)
            assert call("quote", words, ref) == (True, encode_words_of_order(order))
            left = order.lots - order.filled
            if left > 0:
                after = fill_quote(page, ref, dice.randrange(1, left + 1))
                assert call("fill_quote", words, ref, after.filled - page.filled) == encode_words_of_page(after)
                page = after


def test_digests_are_equal(seed: int) -> None:
    dice, call = Dice(seed), get_harness()
    for _ in range(30):
        n = [dice.make_number() for _ in range(15)]
        limit, (legs, pages) = (
            dice.choice((-1, -(2**70), 2**63)),
            (dice.make_hash(), [dice.make_hash() for _ in range(dice.randrange(1, 9))]),
        )
        assert call("order_digest", DOMAIN, n) == compute_order_digest(DOMAIN, tuple(n))
        assert call("combo_digest", DOMAIN, n[0], legs, n[1:11]) == compute_combo_digest(DOMAIN, n[0], legs, tuple(n[1:11]))
        terms = n[2], limit, n[3], n[4]
        assert call("bid_digest", DOMAIN, n[0], n[1], legs, *terms) == compute_bid_digest(DOMAIN, n[0], n[1], legs, terms)
        packed = keccak(b"".join(pages))
        assert call("sheet_digest", DOMAIN, n[0], packed, *n[1:4]) == compute_sheet_digest(DOMAIN, n[0], pages, *n[1:4])
        quotes = [[dice.make_number() for _ in range(6)] for _ in range(dice.randrange(17))]
        assert call("page_hash", n[0], n[1], n[2], quotes) == compute_page_hash(n[0], n[1], n[2], [tuple(quote) for quote in quotes])
        assert call("authorize_digest", DOMAIN, *n[:5]) == compute_authorize_digest(DOMAIN, *n[:5])
        for is_leaving in (False, True):
            assert call("pool_digest", DOMAIN, *n[:3], is_leaving) == compute_pool_digest(DOMAIN, n[0], n[1], n[2], is_leaving)
        assert call("cancel_digest", DOMAIN, *n[:2]) == compute_cancel_digest(DOMAIN, *n[:2])
        assert call("withdraw_digest", DOMAIN, *n[:3]) == compute_withdraw_digest(DOMAIN, *n[:3])
        assert call("settle_digest", DOMAIN, *n[:3]) == compute_settle_digest(DOMAIN, *n[:3])
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
            is_set = (bool(account.flag) or is_risky(account.cash, account.positions), is_holder(account), account.request != 0)
            for bitmap in Bitmap:
                word = world.state.get_word(get_word_index(bitmap, index, world.rules.params))
                assert word >> (index & 255) & 1 == is_set[bitmap]
