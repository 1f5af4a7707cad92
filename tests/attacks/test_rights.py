"""The numbered attacks on who may do what and when: signatures, sheets, forced rows, the shutdown (2, 5, 9, 11, 12, 15)."""

from random import Random

import pytest

from protocol.codes import Code
from protocol.operations import build_mark, build_order, build_sheet, build_shutdown, build_withdraw
from protocol.params import MAINNET, PRESETS, Params
from protocol.series import decode_series, encode_series
from protocol.signing import compute_mark_digest, compute_page_hash, compute_sheet_digest
from protocol.types import INBOX_AUTHORITY, MAX_LOTS, Market, Page, TwoWay
from sim.baits import EXPIRY, START, USD, make_market
from sim.scribe import get_address, make_key, sign
from tests.attacks.life import CALL, Life

KEY = make_key(77)
FULL = (1 << 256) - 1


@pytest.mark.parametrize(
    "signature",
    [
        bytes(65),
        bytes(64) + b"\x1b",
        b"\xff" * 64 + b"\x1c",
        b"\x01" * 64 + b"\x1d",
        bytes(31) + b"\x01" + bytes(31) + b"\x01" + b"\x1b",
    ],
    ids=("zeros", "zeros with v", "ones", "no such v", "of someone"),
)
@pytest.mark.parametrize("is_revoked", [False, True])
def test_attack_02__signature_of_nobody__is_not_that_of_the_key_that_is_not_set(signature: bytes, is_revoked: bool) -> None:
    """Recovery fails with address 0, and 0 is what an account without a session key has."""
    life = Life((1_000, 1_000))
    if is_revoked:
        life.scribe.authorize(0, get_address(KEY), 3, START + 1_000)
        life.scribe.authorize(0, 0, 3, START + 1_000)
    assert life.run()[-1] == Code.OK
    life.scribe.add(build_order(0, CALL, 1, 100, 1, 9, START + 100), signature)
    life.scribe.add(build_withdraw(0, 5 * USD, 9), signature)
    assert life.run() == [Code.SIGNATURE, Code.SIGNATURE]


@pytest.mark.parametrize("lots", [MAX_LOTS, MAX_LOTS + 1, FULL])
def test_attack_02__largest_size_at_the_largest_price__a_code(lots: int) -> None:
    """No product of what rows may carry passes the bounds of the integers, in any of the kernels."""
    life = Life((1 << 40, 1 << 40))
    life.run()
    for price in (1, (1 << 37) - 1):
        sold, bought = (life.scribe.order(index, CALL, index, price, lots) for index in (0, 1))
        life.scribe.trade(0, sold, 1, bought, lots)
        assert life.run()[-1] in (Code.BAND, Code.ORDER, Code.LOTS)


def test_attack_05__shutdown__is_no_option_of_the_sequencers() -> None:
    """Frozen at once; priced by the oracles for the instant of the trigger, whatever came before or after; and everyone gets out."""
    life = Life((200_000, 200_000, 1_000), MAINNET)
    life.deal(0, 1, CALL, life.get_price(CALL), 100)
    life.run()
    scribe, money = life.scribe, life.get_money()
    scribe.clock += 1_000
    scribe.send(INBOX_AUTHORITY, [build_shutdown()])
    assert life.run() == [Code.OK]
    at = scribe.clock
    scribe.clock += 60
    life.deal(0, 1, CALL, life.get_price(CALL), 1)
    scribe.cancel(0)
    scribe.withdraw(0, 1)
    mark(life, make_market(scribe.clock, 200_000 * USD))  # a later one, that suits somebody
    mark(life, make_market(at - 1, 200_000 * USD))
    mark(life, make_market(at, 96_000 * USD))
    mark(life, make_market(at, 200_000 * USD))
    scribe.shutdown()
    scribe.deposit(2, 777 * USD)
    codes = life.run()
    assert codes == [Code.OK, *[Code.FROZEN] * 4, Code.FROZEN, *[Code.MARK_TIME] * 2, Code.OK, Code.MARK_TIME, Code.SHUTDOWN_TIME]
    scribe.clock += scribe.rules.params.shutdown_s
    scribe.shutdown()
    scribe.shutdown()
    for index in range(3):
        scribe.nonces[index] += 10
        scribe.withdraw(index, FULL >> 100)
    assert life.run() == [Code.OK, Code.SHUTDOWN_TIME, Code.OK, Code.OK, Code.OK]
    assert [a.cash for a in life.state.accounts.values()] == [0, 0, 0]
    paid = dict(life.state.outbox)
    assert paid[get_address(scribe.keys[2])] == 1_777 * USD, "the late deposit too"
    assert sum(paid.values()) + life.state.globals.fees == money + 777 * USD


def mark(life: Life, market: Market) -> None:
    """Signed by the quorum, naming the market's last one."""
    scribe, previous = life.scribe, life.state.markets[0].mark_time
    row = build_mark(0, previous, market)
    digest = compute_mark_digest(scribe.rules.domain, 0, previous, market.mark_time, market.index_price, row[5:])
    scribe.add(row, b"".join(sign(key, digest) for key in scribe.oracles[: scribe.rules.params.quorum]))


@pytest.mark.parametrize(("cash", "code"), [(99, Code.MARGIN), (101, Code.OK)])
def test_attack_09__an_account_that_every_mark_must_visit__costs_a_hundred_dollars(cash: int, code: Code) -> None:
    """Else thousands of them, short one lot of something worthless, would fill every scan for nothing."""
    life = Life((cash, 1_000))
    life.run()
    life.mark(make_market(START))
    far = encode_series(0, EXPIRY, 100 * USD, 1)
    cheap = encode_series(0, EXPIRY, 300_000 * USD, 1)
    assert decode_series(far).strike < decode_series(cheap).strike
    life.deal(0, 1, cheap, 1, 1)
    assert life.run()[-1] == code


def make_pages(price: int) -> list[Page]:
    """Two, each offering 20 lots of two strikes, of which 30 may go."""
    quotes = tuple(TwoWay(strike * USD, 1, 0, 0, price, 20) for strike in (95_000, 95_010))
    return [Page(underlying=0, expiry=EXPIRY, max_lots=30, quotes=quotes)] * 2


def take(life: Life, slot: int, quote: int, price: int, lots: int) -> None:
    """The second account lifts an offer of a page."""
    series = encode_series(0, EXPIRY, (95_000, 95_010)[quote] * USD, 1)
    taking = life.scribe.order(1, series, 1, price, lots)
    life.scribe.trade(0, slot | (2 + 2 * quote) << life.scribe.rules.params.slot_depth, 1, taking, lots)


def test_attack_11__sheets__a_newer_one_kills_what_is_posted_and_what_is_not() -> None:
    life = Life((1_000_000, 1_000_000))
    life.run()
    scribe = life.scribe
    price = life.get_price(CALL) + 1
    pages = make_pages(price)
    old, new = scribe.take_nonce(0, 2), scribe.take_nonce(0, 2)
    slot = scribe.sheet(0, pages, 0, old)
    posted, signature = scribe._rows[-1], scribe._signatures
    take(life, slot, 0, price, 20)
    take(life, slot, 1, price, 11)  # 31 in all
    take(life, slot, 1, price, 10)
    assert life.run() == [Code.OK, Code.OK, Code.OK, Code.OK, Code.OVERFILL, Code.OK, Code.OK]
    scribe.sheet(0, pages, 1, new)
    take(life, slot, 0, price, 1)
    scribe.sheet(0, pages, 1, old)  # signed before, not posted then
    scribe._rows.append(posted)
    scribe._signatures += signature[:65]
    assert life.run() == [Code.OK, Code.OK, Code.SHEET, Code.SHEET, Code.SHEET]


@pytest.mark.parametrize(("over_s", "code"), [(0, Code.OK), (1, Code.SHEET)])
def test_attack_11__sheets__live_half_a_minute(over_s: int, code: Code) -> None:
    """Whatever was signed: a quote of ten minutes ago is nobody's to fill."""
    life = Life((1_000_000, 1_000_000))
    life.run()
    scribe, pages = life.scribe, make_pages(life.get_price(CALL))
    valid_until = scribe.clock + scribe.rules.params.sheet_life_s + over_s
    hashes = [compute_page_hash(p.underlying, p.expiry, p.max_lots, [q[:6] for q in p.quotes]) for p in pages]
    digest = compute_sheet_digest(scribe.rules.domain, 0, hashes, 5, 0, valid_until)
    scribe.add(build_sheet(0, 5, valid_until, hashes, 0, pages[0]), sign(scribe.keys[0], digest))
    assert life.run() == [code]
    assert scribe.rules.params.sheet_life_s <= 30
    take(life, 5, 0, life.get_price(CALL), 1)
    scribe.clock += 31
    take(life, 5, 0, life.get_price(CALL), 1)
    assert life.run()[-1] != Code.OK


@pytest.mark.parametrize("params", PRESETS.values(), ids=lambda params: params.name)
def test_attack_12__a_deposit_that_cures__is_in_within_an_hour_and_lifts_the_flag(params: Params) -> None:
    """What the message queue may hold it back for; the next mark unflags it."""
    assert params.inclusion_delay_s <= 3_600
    life = Life((44_000, 1_000_000), params)
    life.deal(0, 1, CALL, life.get_price(CALL), 200)
    assert life.run()[-1] == Code.OK
    life.scribe.clock += 10
    life.mark(make_market(life.scribe.clock, 105_000 * USD))
    life.run()
    assert life.get_account(0).flag
    life.scribe.deposit(0, 100_000 * USD)
    life.scribe.clock += 10
    life.mark(make_market(life.scribe.clock, 105_000 * USD))
    life.run()
    assert not life.get_account(0).flag
    assert life.get_account(0).positions == ((CALL, -200),)


def test_drv2_03__withdrawals_in_pieces__pay_what_they_take_to_the_unit(seed: int) -> None:
    """There is no exchange rate in between, hence nothing to round."""
    rng = Random(seed)
    life = Life((1_000,))
    life.run()
    for _ in range(40):
        cash, done = life.get_account(0).cash, len(life.state.outbox)
        life.scribe.withdraw(0, rng.randint(USD, 60 * USD))
        life.run()
        assert cash - life.get_account(0).cash == sum(amount for _, amount in life.state.outbox[done:])
    assert life.get_account(0).cash < USD
    assert sum(amount for _, amount in life.state.outbox) + life.get_account(0).cash == 1_000 * USD
    assert life.state.globals.balance == life.get_account(0).cash


def test_drv_12__dust__nobody_puts_positions_into_an_account_that_did_not_sign() -> None:
    """What makes an account dear to visit is its own doing: strangers can only pay cash in."""
    life = Life((100_000, 100_000, 100_000))
    price = life.get_price(CALL)
    bought = life.scribe.order(1, CALL, 1, price, 1)
    forged = life.scribe.order(0, CALL, 0, price, 1, signer=life.scribe.keys[1])
    life.scribe.trade(1, bought, 0, forged, 1)
    life.scribe.bid(1, 0, ((CALL, -1),), 1, 1 << 40)
    codes = life.run()
    assert codes[-4:] == [Code.OK, Code.SIGNATURE, Code.ORDER, Code.NOT_FLAGGED]
    assert life.get_account(0).positions == ()
