"""BID: who may bid on what, and for how much; by both twins."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from protocol.auction import AUCTION_MARKS, compute_discount, compute_price
from protocol.codec.rows import encode_zigzag
from protocol.codes import Code
from protocol.kernel import REFERENCE
from protocol.legs import Leg
from protocol.margin import compute_margin, compute_mark
from protocol.operations import BID_HEAD, build_bid
from protocol.series import decode_series
from protocol.sessions import MAX_JUMP, encode_session
from protocol.types import MAX_LOTS, SCOPE_TRADE, SCOPE_WITHDRAW, Phase
from sim.scribe import get_address, make_key, sign
from sim.twins.dice import ALL_RULES
from sim.twins.runner import assert_twins
from sim.twins.worst import make_worst_auction
from tests.steps_b.auctions import (
    ALL_SERIES,
    BIDDER,
    CALL,
    EXPIRIES,
    FRIEND,
    MARKS,
    OTHER,
    PUT,
    RICH,
    START,
    TARGET,
    USD,
    Auction,
    make_random,
)

MAX_STEP_GAS = 10_000_000


@dataclass
class Row:
    """A good bid on the strangle, until it is spoiled."""

    auction: Auction = field(default_factory=Auction)
    account: int = BIDDER
    target: int = TARGET
    legs: tuple[Leg, ...] = ((PUT, -1), (CALL, -1))
    units: int = 5
    limit: int = RICH
    nonce: int = 1
    valid_until: int = START + 60
    signer: int = BIDDER
    items: dict[int, int] = field(default_factory=dict)  # written over in the end

    def post(self) -> Code:
        items = list(build_bid(self.account, self.target, self.legs, self.units, self.limit, self.nonce, self.valid_until))
        for at, value in self.items.items():
            items[at] = value
        return self.auction.post(items, self.signer)

    def change_target(self, **fields: int) -> None:
        self.auction.put_account(TARGET, self.auction.get_account(TARGET)._replace(**fields))  # type: ignore[arg-type]

    def wait(self) -> None:
        """A moment too long after the last mark."""
        self.auction.tick(61)
        self.valid_until = (1 << 40) - 1

    def pass_time(self) -> None:
        """To the moment at which the series expire."""
        self.auction.tick(EXPIRIES[1] - START)
        self.valid_until = (1 << 40) - 1


def spoil_account(row: Row) -> None:
    row.account = 4


def spoil_owner(row: Row) -> None:
    row.account = FRIEND


def spoil_nonce(row: Row) -> None:
    row.nonce = 0


def spoil_time(row: Row) -> None:
    row.valid_until = row.auction.state.globals.clock - 1


def spoil_series(row: Row) -> None:
    row.items[BID_HEAD] = 2


def spoil_ratio(row: Row) -> None:
    row.items[BID_HEAD + 3] = 0


def spoil_units(row: Row) -> None:
    row.units = 0


def spoil_signer(row: Row) -> None:
    row.signer = OTHER


def spoil_flag(row: Row) -> None:
    row.change_target(flag=0)


def spoil_side(row: Row) -> None:
    row.legs = ((PUT, 1), (CALL, -1))


def spoil_limit(row: Row) -> None:
    row.limit = -RICH


CHECKS: list[tuple[Callable[[Row], None], Code]] = [
    (spoil_account, Code.ACCOUNT),
    (spoil_owner, Code.SELF_TRADE),
    (spoil_nonce, Code.NONCE),
    (spoil_time, Code.EXPIRED),
    (spoil_series, Code.SERIES),
    (spoil_ratio, Code.LEGS),
    (spoil_units, Code.LOTS),
    (spoil_signer, Code.SIGNATURE),
    (spoil_flag, Code.NOT_FLAGGED),
    (spoil_side, Code.BID_SIZE),
    (Row.pass_time, Code.SERIES),
    (Row.wait, Code.STALE),
    (spoil_limit, Code.LIMIT),
]


@pytest.mark.parametrize("at", range(len(CHECKS)), ids=lambda at: f"{at}-{CHECKS[at][1].name}")
@pytest.mark.parametrize("is_alone", [True, False])
def test_first_failing_check_gives_the_code(at: int, is_alone: bool) -> None:
    """Each by itself, and each with everything that comes after it."""
    row = Row()
    root = row.auction.state.get_root()
    for spoil, _ in reversed(CHECKS[at : at + 1] if is_alone else CHECKS[at:]):
        spoil(row)
    spent = row.auction.state.globals.allowance
    before = row.auction.state.copy()
    assert row.post() == CHECKS[at][1]
    before.put_globals(before.globals._replace(allowance=spent - 5))
    assert row.auction.state.get_root() == before.get_root() != root, "only its steps are paid for"


def test_a_good_row_is_applied() -> None:
    assert Row().post() == Code.OK


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"target": 4}, Code.ACCOUNT),
        ({"target": (1 << 256) - 1}, Code.ACCOUNT),
        ({"target": BIDDER}, Code.SELF_TRADE),
        ({"nonce": 1 << 64}, Code.NONCE),
        ({"nonce": (1 << 64) - 1}, Code.OK),
        ({"valid_until": START}, Code.OK),
        ({"valid_until": 1 << 40}, Code.EXPIRED),
        ({"valid_until": (1 << 40) - 1}, Code.OK),
        ({"legs": ((CALL, -1), (PUT, -1))}, Code.LEGS),
        ({"legs": ((CALL, -1), (CALL, -1))}, Code.LEGS),
        ({"legs": ((PUT, -2), (CALL, -2))}, Code.LEGS),
        ({"legs": ((PUT, -2), (CALL, -1))}, Code.OK),
        ({"legs": ((PUT, -1), (CALL, -100)), "units": 3}, Code.OK),
        ({"legs": ((PUT, -1), (CALL, -101)), "units": 2}, Code.LEGS),
        ({"legs": ((CALL, -1),)}, Code.OK),
        ({"legs": ((CALL, -1),), "units": 301}, Code.BID_SIZE),
        ({"legs": ((PUT, -40), (CALL, -1)), "units": 6}, Code.BID_SIZE),
        ({"legs": ((ALL_SERIES[0], -1), (CALL, -1))}, Code.BID_SIZE),
        ({"units": MAX_LOTS}, Code.BID_SIZE),
        ({"units": MAX_LOTS + 1}, Code.LOTS),
        ({"units": (1 << 256) - 1}, Code.LOTS),
        ({"items": {4: (1 << 64) - 2}}, Code.OK),
        ({"items": {4: 1 << 64}}, Code.LOTS),
        ({"items": {4: (1 << 256) - 1}}, Code.LOTS),
    ],
)
def test_edges_of_every_term(fields: dict[str, object], code: Code) -> None:
    """One step to either side; what the terms let through, nothing after them refuses here."""
    assert Row(Auction(percent=70), **fields).post() == code  # type: ignore[arg-type]  # by name, checked by use


def test_limit_is_exact_and_signed() -> None:
    """A short is taken over for money: the limit is below nothing."""
    for off, code in ((-1, Code.LIMIT), (0, Code.OK)):
        auction = Auction()
        price = auction.get_price((CALL, -1))
        assert price < 0
        assert auction.bid((CALL, -1), units=5, limit=price + off) == code


@pytest.mark.parametrize(
    ("scope", "until", "nonce", "code"),
    [
        (SCOPE_TRADE, START, 1, Code.OK),
        (SCOPE_TRADE | SCOPE_WITHDRAW, START, MAX_JUMP, Code.OK),
        (SCOPE_WITHDRAW, START, 1, Code.SIGNATURE),
        (SCOPE_TRADE, START - 1, 1, Code.SIGNATURE),
        (SCOPE_TRADE, START, MAX_JUMP + 1, Code.SIGNATURE),
    ],
)
def test_a_session_key_bids_within_its_scope_time_and_nonces(scope: int, until: int, nonce: int, code: Code) -> None:
    row = Row(nonce=nonce)
    key = make_key(99)
    row.auction.put_account(BIDDER, row.auction.get_account(BIDDER)._replace(session=encode_session(get_address(key), scope, until)))
    row.auction.scribe.keys[OTHER] = key
    row.signer = OTHER
    assert row.post() == code


def test_a_bid_is_good_for_one_target_and_one_time() -> None:
    auction = Auction()
    auction.put_account(OTHER, auction.get_account(OTHER)._replace(positions=((PUT, -50), (CALL, -50)), flag=1))
    assert auction.bid((CALL, -1), units=5) == Code.OK
    auction.scribe.nonces[BIDDER] = 0
    assert auction.bid((CALL, -1), units=5) == Code.NONCE
    items = list(build_bid(BIDDER, TARGET, ((CALL, -1),), 5, RICH, 2, START + 60))
    scribe = auction.scribe
    auction.scribe.bid(BIDDER, TARGET, ((CALL, -1),), 5, RICH)
    _, signature = scribe._rows.pop(), scribe._signatures
    items[2] = OTHER
    scribe._signatures = b""
    scribe.add(items, signature)
    assert auction.run() == [Code.SIGNATURE]


def test_the_next_signature_is_the_next_rows_whatever_becomes_of_the_bid() -> None:
    auction = Auction()
    scribe = auction.scribe
    for limit in (-RICH, RICH):
        scribe.bid(BIDDER, TARGET, ((CALL, -1),), 5, limit)
    scribe.bid(BIDDER, TARGET, ((CALL, -1),), 400, RICH)
    scribe.bid(OTHER, TARGET, ((CALL, -1),), 5, RICH)
    assert auction.run() == [Code.LIMIT, Code.OK, Code.BID_SIZE, Code.OK]


def test_signatures_of_other_bids_are_none() -> None:
    row = Row()
    items = build_bid(BIDDER, TARGET, row.legs, 5, RICH, 1, START + 60)
    row.auction.scribe.add(items, sign(row.auction.scribe.keys[BIDDER], bytes(32)))
    row.auction.scribe.add(items)
    assert row.auction.run() == [Code.SIGNATURE] * 2


def test_price_is_never_better_for_the_bidder_than_mark_minus_discount(seed: int) -> None:
    """Exactly, over the marks of a whole unit before any rounding."""
    rng = Random(seed)
    signs = set()
    for _ in range(60):
        auction, legs, _ = make_random(rng)
        age = rng.randrange(40)
        markets = auction.state.markets
        price = compute_price(legs, age, markets, REFERENCE)
        maintenance = compute_margin(0, legs, markets).maintenance
        marks = sum(ratio * (compute_mark(series, markets[decode_series(series).underlying]) or 0) for series, ratio in legs)
        exact = 2 * marks - 2 * 100 * maintenance * min(age, AUCTION_MARKS) // 200  # floored twice over: in the bidder's favour
        assert 2 * 100 * price >= exact
        assert price <= marks // 100 + sum(abs(ratio) for _, ratio in legs) + 1, "nor worse than the mark, but for the rounding"
        signs.add(price > 0)
    assert signs == {True, False}


@pytest.mark.parametrize("maintenance", [0, 1, 199, 200, 10**9, (1 << 63) + 7])
def test_discount_grows_by_the_mark_from_nothing_to_a_tenth(maintenance: int) -> None:
    discounts = [compute_discount(maintenance, age) for age in range(3 * AUCTION_MARKS)]
    assert discounts[0] == 0
    assert discounts == sorted(discounts)
    assert set(discounts[AUCTION_MARKS:]) == {maintenance // 10}
    assert all(200 * d <= maintenance * age < 200 * (d + 1) for age, d in enumerate(discounts[: AUCTION_MARKS + 1]))


def test_trade_that_a_bid_becomes() -> None:
    auction = Auction()
    before = auction.get_margin(TARGET)
    row = Row(auction, legs=((PUT, -2), (CALL, -1)), units=7, nonce=9)
    assert row.post() == Code.OK
    assert [step.phase for step in auction.applied if step.phase > Phase.FETCH] == [Phase.BID, Phase.BIDDER, Phase.TARGET, Phase.AWARD]
    assert auction.get_account(BIDDER).nonce == 9
    assert auction.get_account(BIDDER).positions == ((PUT, -14), (CALL, -7))
    assert auction.get_account(TARGET).positions == ((PUT, -186), (CALL, -293))
    assert auction.get_margin(TARGET).maintenance < before.maintenance
    assert auction.get_account(TARGET).flag == MARKS - 5, "only a scan takes a flag away"
    assert auction.get_account(TARGET).cash - before.cash == -(auction.get_account(BIDDER).cash - RICH) < -USD


def test_limits_in_rows_are_zigzag() -> None:
    row = Row()
    price = compute_price(row.legs, 5, row.auction.state.markets, REFERENCE)
    row.items = {4: encode_zigzag(price)}
    assert row.post() == Code.OK


@pytest.mark.parametrize("phase", [Phase.BID, Phase.TARGET, Phase.AWARD])
def test_worst_step_is_payable(phase: Phase) -> None:
    for rules in ALL_RULES:
        assert assert_twins(*make_worst_auction(rules, phase)).gas <= MAX_STEP_GAS
