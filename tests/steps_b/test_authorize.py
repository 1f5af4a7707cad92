"""AUTHORIZE and what hangs on it: a key that is revoked, replaced, expired or out of scope signs nothing any more, whatever is replayed."""

import random

import pytest

from protocol.codes import Code
from protocol.legs import compute_signed_legs
from protocol.machine import Preimages
from protocol.operations import MAX_FEE_CAP, build_authorize, build_cancel, build_combo, build_order, build_sheet, build_withdraw
from protocol.series import decode_series, encode_series
from protocol.sessions import encode_session
from protocol.signing import (
    compute_authorize_digest,
    compute_cancel_digest,
    compute_combo_digest,
    compute_order_digest,
    compute_page_hash,
    compute_sheet_digest,
    compute_withdraw_digest,
)
from protocol.state import State
from protocol.types import SCOPE_TRADE, SCOPE_WITHDRAW, Account, Page, Phase
from tests.steps_b.worlds import ADDRESSES, DAY_S, NOW, World, make_globals, make_market, make_rules, place_signatures, sign

RULES = make_rules()
CLOCK = make_globals(400).clock
BOTH = SCOPE_TRADE | SCOPE_WITHDRAW
FOREVER = 2**40 - 1
OWNER, KEY, OTHER = 0, 1, 2  # whose keys; the owner's account is number 300
INDEX = 300
Row = tuple[Phase, tuple[int, ...], bytes]


def make_account(**fields: object) -> Account:
    """Of the owner, with cash."""
    return Account(ADDRESSES[OWNER], 10**9, 2, 8)._replace(**fields)  # type: ignore[arg-type]  # by name, checked by use


class Scene:
    """An account's life, row after row, each by both twins."""

    def __init__(self, account: Account) -> None:
        rng = random.Random(1)
        state = State(RULES.params)
        state.put_globals(make_globals(400))
        state.put_markets((make_market(rng, 0), make_market(rng, 1)))
        self.world = World(RULES, state, Preimages([]))
        self.world.put_account(INDEX, account)

    @property
    def account(self) -> Account:
        """As it is now."""
        return self.world.state.get_account(INDEX)

    def run(self, row: Row, authority: int = 0) -> Code:
        """A row with its signature, as anyone may post it."""
        phase, items, signature = row
        pre = Preimages([])
        pre.items, pre.signatures = items, place_signatures([signature], 3, random.Random(1))
        self.world.pre = pre
        outcome, after = self.world.run(phase, signature=3, authority=authority)
        is_signed = phase in (Phase.ORDER, Phase.COMBO, Phase.SHEET) or not items[0] >> 4 & 1
        assert outcome.after.signature == 3 + is_signed
        if outcome.code != Code.OK:
            assert after.get_root() == self.world.state.get_root()
        self.world = World(RULES, after, pre)
        return outcome.code

    def authorize(self, key: int, scope: int, expiry: int, nonce: int, signer: int = OWNER, flagged: bool = False) -> Row:
        """Of this account."""
        digest = compute_authorize_digest(RULES.domain, INDEX, key, scope, expiry, nonce)
        return Phase.AUTHORIZE, build_authorize(INDEX, key, scope, expiry, nonce, flagged), sign(signer, digest)

    def cancel(self, nonce: int, signer: int) -> Row:
        """Of this account."""
        return Phase.CANCEL, build_cancel(INDEX, nonce), sign(signer, compute_cancel_digest(RULES.domain, INDEX, nonce))

    def withdraw(self, nonce: int, signer: int) -> Row:
        """Of this account, 2 USD."""
        digest = compute_withdraw_digest(RULES.domain, INDEX, 2_000_000, nonce)
        return Phase.WITHDRAW, build_withdraw(INDEX, 2_000_000, nonce), sign(signer, digest)

    def order(self, nonce: int, signer: int) -> Row:
        """A plain one, signed for the account's generation as it is now."""
        series, until = encode_series(0, NOW + DAY_S, 10**10, 1), CLOCK + 600
        terms = (INDEX, *decode_series(series), 1, 10**6, 5, 0, 0, 0, MAX_FEE_CAP, nonce, self.account.generation, until)
        return Phase.ORDER, build_order(INDEX, series, 1, 10**6, 5, nonce, until), sign(signer, compute_order_digest(RULES.domain, terms))

    def combo(self, nonce: int, signer: int) -> Row:
        """On two strikes."""
        legs = tuple((encode_series(0, NOW + DAY_S, strike * 10**10, 1), 1) for strike in (1, 2))
        until = CLOCK + 600
        terms = (1, 10**6, 5, 0, 0, 0, MAX_FEE_CAP, nonce, self.account.generation, until)
        digest = compute_combo_digest(RULES.domain, INDEX, compute_signed_legs(legs), terms)
        return Phase.COMBO, build_combo(INDEX, legs, 1, 10**6, 5, nonce, until), sign(signer, digest)

    def sheet(self, nonce: int, signer: int) -> Row:
        """Of one page, without quotes."""
        page, until = Page(underlying=0, expiry=NOW + DAY_S, max_lots=1), CLOCK + RULES.params.sheet_life_s
        hashes = [compute_page_hash(page.underlying, page.expiry, page.max_lots, [])]
        digest = compute_sheet_digest(RULES.domain, INDEX, hashes, nonce, self.account.generation, until)
        return Phase.SHEET, build_sheet(INDEX, nonce, until, hashes, 0, page), sign(signer, digest)

    def pass_time(self, seconds: int) -> None:
        """The clock moves on."""
        state = self.world.state
        state.put_globals(state.globals._replace(clock=state.globals.clock + seconds))


def test_sets_replaces_and_revokes() -> None:
    scene = Scene(make_account())
    assert scene.run(scene.authorize(ADDRESSES[KEY], SCOPE_TRADE, CLOCK + 9, 9)) == Code.OK
    assert scene.account == make_account(session=encode_session(ADDRESSES[KEY], SCOPE_TRADE, CLOCK + 9), nonce=9, generation=3)
    assert scene.run(scene.authorize(ADDRESSES[OTHER], BOTH, FOREVER, 10)) == Code.OK
    assert scene.account == make_account(session=encode_session(ADDRESSES[OTHER], BOTH, FOREVER), nonce=10, generation=4)
    assert scene.run(scene.authorize(0, BOTH, FOREVER, 20)) == Code.OK
    assert scene.account == make_account(session=0, nonce=20, generation=5)


@pytest.mark.parametrize(
    ("key", "scope", "expiry", "nonce", "expected"),
    [
        (2**160 - 1, 3, FOREVER, 9, Code.OK),
        (1, 0, 0, 2**64 - 1, Code.OK),
        (2**160, 3, FOREVER, 9, Code.SCOPE),
        (1, 4, FOREVER, 9, Code.SCOPE),
        (1, 2**255, FOREVER, 9, Code.SCOPE),
        (1, 3, 2**40, 9, Code.SCOPE),
        (1, 4, FOREVER, 8, Code.SCOPE),
        (1, 3, FOREVER, 8, Code.NONCE),
        (1, 3, FOREVER, 2**64, Code.NONCE),
    ],
)
def test_bounds(key: int, scope: int, expiry: int, nonce: int, expected: Code) -> None:
    scene = Scene(make_account())
    assert scene.run(scene.authorize(key, scope, expiry, nonce)) == expected


def test_only_the_owner_authorizes() -> None:
    """Not a session key, whatever its scope: else it could make itself immortal."""
    scene = Scene(make_account(session=encode_session(ADDRESSES[KEY], BOTH, FOREVER)))
    for signer in (KEY, OTHER):
        assert scene.run(scene.authorize(ADDRESSES[signer], BOTH, FOREVER, 9, signer)) == Code.SIGNATURE
    row = scene.authorize(0, 0, 0, 9, OTHER, flagged=True)
    for authority in (0, 1, ADDRESSES[KEY], ADDRESSES[OTHER]):
        assert scene.run(row, authority) == Code.AUTHORITY
    assert scene.run(row, ADDRESSES[OWNER]) == Code.OK
    assert scene.account.session == 0


def test_an_old_authorize_row_cannot_be_replayed() -> None:
    """Neither after a revocation, nor to bring back an earlier key, nor to lengthen one."""
    scene = Scene(make_account())
    rows = [
        scene.authorize(ADDRESSES[KEY], BOTH, FOREVER, 9),
        scene.authorize(ADDRESSES[OTHER], SCOPE_TRADE, CLOCK + 60, 10),
        scene.authorize(0, 0, 0, 11),
    ]
    for at, row in enumerate(rows):
        assert scene.run(row) == Code.OK
        session = scene.account.session
        for old in rows[: at + 1]:
            assert scene.run(old) == Code.NONCE
        assert scene.account.session == session
    assert scene.account.session == 0


def test_a_row_that_was_signed_and_never_posted_dies_with_the_next() -> None:
    scene = Scene(make_account())
    held_back = scene.authorize(ADDRESSES[KEY], BOTH, FOREVER, 9)
    assert scene.run(scene.authorize(0, 0, 0, 10)) == Code.OK
    assert scene.run(held_back) == Code.NONCE


@pytest.mark.parametrize("how", ["revoked", "replaced", "expired", "cancelled"])
def test_what_a_dead_key_signed_is_dead(how: str) -> None:
    """Rows that the key signed while it lived and that are posted late, and rows that it signs afterwards."""
    scene = Scene(make_account(session=encode_session(ADDRESSES[KEY], BOTH, CLOCK + 60)))
    early_order, early = scene.order(5, KEY), [scene.cancel(50, KEY), scene.withdraw(51, KEY)]
    match how:
        case "revoked":
            assert scene.run(scene.authorize(0, 0, 0, 9)) == Code.OK
        case "replaced":
            assert scene.run(scene.authorize(ADDRESSES[OTHER], BOTH, FOREVER, 9)) == Code.OK
        case "expired":
            scene.pass_time(61)
        case _:
            assert scene.run(scene.cancel(9, OWNER)) == Code.OK
    assert scene.run(early_order) == Code.SIGNATURE
    if how != "cancelled":  # a cancel kills orders; the key itself lives on
        for row in (*early, scene.order(6, KEY), scene.cancel(60, KEY), scene.withdraw(61, KEY)):
            assert scene.run(row) == Code.SIGNATURE
    assert scene.world.state.outbox == []
    assert scene.run(scene.order(7, OWNER)) == Code.OK


@pytest.mark.parametrize(("scope", "may_trade", "may_withdraw"), [(0, 0, 0), (SCOPE_TRADE, 1, 0), (SCOPE_WITHDRAW, 0, 1), (BOTH, 1, 1)])
def test_a_key_signs_within_its_scope(scope: int, may_trade: int, may_withdraw: int) -> None:
    scene = Scene(make_account())
    assert scene.run(scene.authorize(ADDRESSES[KEY], scope, CLOCK, 9)) == Code.OK
    assert scene.run(scene.order(5, KEY)) == (Code.OK if may_trade else Code.SIGNATURE)
    assert scene.run(scene.withdraw(10, KEY)) == (Code.OK if may_withdraw else Code.SIGNATURE)
    assert scene.world.state.outbox == [(ADDRESSES[OWNER], 2_000_000)] * may_withdraw
    assert scene.run(scene.cancel(11, KEY)) == (Code.OK if may_trade else Code.SIGNATURE)
    scene.pass_time(1)
    for row in (scene.order(6, KEY), scene.withdraw(12, KEY), scene.cancel(13, KEY)):
        assert scene.run(row) == Code.SIGNATURE


def test_an_order_lives_no_longer_than_the_key_that_signed_it() -> None:
    scene = Scene(make_account(session=encode_session(ADDRESSES[KEY], SCOPE_TRADE, CLOCK + 60)))
    assert scene.run(scene.order(5, KEY)) == Code.OK
    assert scene.run(scene.order(6, OWNER)) == Code.OK
    slots = [scene.world.state.get_order(INDEX, RULES.params.get_slot(nonce)).valid_until for nonce in (5, 6)]
    assert slots == [CLOCK + 60, CLOCK + 600]


@pytest.mark.parametrize(
    ("signer", "nonce", "expected"),
    [
        (KEY, 8 + 2**32, Code.OK),
        (KEY, 9 + 2**32, Code.SIGNATURE),
        (KEY, 2**64 - 1, Code.SIGNATURE),
        (OWNER, 9 + 2**32, Code.OK),
        (OWNER, 2**64 - 1, Code.OK),
    ],
)
def test_a_stolen_key_cannot_use_up_the_nonces(signer: int, nonce: int, expected: Code) -> None:
    """Else its owner could neither withdraw nor revoke it, ever."""
    for kind in ("cancel", "withdraw"):
        scene = Scene(make_account(session=encode_session(ADDRESSES[KEY], BOTH, FOREVER)))
        assert scene.run(getattr(scene, kind)(nonce, signer)) == expected
        if signer == KEY:
            assert scene.run(scene.authorize(0, 0, 0, scene.account.nonce + 1)) == Code.OK


@pytest.mark.parametrize(
    ("signer", "jump", "expected"),
    [(KEY, 0, Code.OK), (KEY, 1, Code.SIGNATURE), (KEY, 2**63, Code.SIGNATURE), (OWNER, 2**63, Code.OK), (OTHER, -5, Code.SIGNATURE)],
)
@pytest.mark.parametrize("kind", ["order", "combo", "sheet"])
@pytest.mark.parametrize("highest", ["nonce", "sheet", "slot"])
def test_a_stolen_key_cannot_use_up_the_slots(kind: str, highest: str, signer: int, jump: int, expected: Code) -> None:
    """Else its owner, who has revoked it, could never quote again, nor close a position."""
    session, least = encode_session(ADDRESSES[KEY], BOTH, FOREVER), 2**20
    scene = Scene(make_account(session=session, **({} if highest == "slot" else {highest: least})))
    if highest == "slot":
        assert scene.run(scene.order(least, OWNER)) == Code.OK
    assert scene.run(getattr(scene, kind)(least + 2**32 + jump, signer)) == expected


def test_a_rows_own_replay_is_refused() -> None:
    """Nobody can post a cancel, a withdrawal or an authorization twice, nor in another account's name."""
    scene = Scene(make_account())
    for row in (scene.cancel(9, OWNER), scene.withdraw(10, OWNER), scene.authorize(ADDRESSES[KEY], 1, FOREVER, 11)):
        assert scene.run(row) == Code.OK
        assert scene.run(row) == Code.NONCE
        phase, items, signature = row
        assert scene.run((phase, (*items[:-1], 99), signature)) == Code.SIGNATURE
        assert scene.run((phase, (items[0], 400, *items[2:]), signature)) == Code.ACCOUNT
