"""An epoch of every operation, run by the machine, each of its steps by both: states that nobody built by hand."""

from collections import Counter

from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.codec.inflate import encode_frame
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.margin import compute_mark
from protocol.operations import build_cancel, build_deposit, build_mark, build_order, build_trade, build_withdraw
from protocol.params import DEVNET
from protocol.series import decode_series, encode_series
from protocol.signing import compute_cancel_digest, compute_mark_digest, compute_order_digest, compute_withdraw_digest
from protocol.state import State
from protocol.trace import Machine
from protocol.types import VAULT_AUTHORITY, Market, Phase, Slice
from sim.twins import assert_twins
from sim.twins.dice import Key, get_keys, make_rules, sign

NOW = 1_700_000_000
EXPIRY = NOW + 7 * 86_400
MARKET = Market(50_000 * 10**6, NOW + 1, (Slice(EXPIRY, 50_000 * 10**6, 4 * 10**6, 10**7, -(10**8), 0, 10**8),))
SERIES = encode_series(0, EXPIRY, 51_000 * 10**6, 1)
RULES = make_rules(DEVNET)


class Writer:
    """Rows of one source with the signatures that they need."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.signatures = b""

    def add(self, row: tuple[int, ...], *signed: tuple[Key, bytes]) -> None:
        self.rows.append(row)
        self.signatures += b"".join(sign(key, digest) for key, digest in signed)

    def add_mark(self, previous: int, market: Market) -> None:
        row = build_mark(0, previous, market)
        digest = compute_mark_digest(RULES.domain, 0, previous, market.mark_time, market.index_price, row[5:])
        self.add(row, *((key, digest) for key in get_keys()[-DEVNET.quorum :]))

    def add_order(self, account: int, is_buy: int, price: int, nonce: int) -> None:
        underlying, expiry, strike, is_call = decode_series(SERIES)
        terms = (account, underlying, expiry, strike, is_call, is_buy, price, 100, nonce, 0, NOW + 100)
        self.add(
            build_order(account, SERIES, is_buy, price, 100, nonce, NOW + 100),
            (get_keys()[account], compute_order_digest(RULES.domain, terms)),
        )

    def encode(self, time: int) -> Frame:
        return Frame(time, encode_frame(b"".join(map(encode_row, self.rows))), self.signatures)


def write_trading() -> Writer:
    mark = compute_mark(SERIES, MARKET)
    assert mark is not None
    price = mark // 100
    w = Writer()
    w.add_mark(0, MARKET)
    w.add_order(0, 0, price, 1)
    w.add_order(1, 1, price, 1)
    w.add(build_trade(0, 1, 1, 1, 60))
    w.add(build_trade(0, 1, 1, 1, 60))
    w.add_mark(NOW + 1, MARKET._replace(mark_time=NOW + 10))
    w.add(build_withdraw(1, 10**9, 3), (get_keys()[1], compute_withdraw_digest(RULES.domain, 1, 10**9, 3)))
    w.add(build_cancel(1, 4), (get_keys()[1], compute_cancel_digest(RULES.domain, 1, 4)))
    w.add((99,))
    return w


def write_crash() -> Writer:
    """The forward trebles: the writer of the call is flagged, may only reduce, and does."""
    w = Writer()
    item = MARKET.slices[0]._replace(forward=150_000 * 10**6)
    crash = Market(150_000 * 10**6, NOW + 20, (item,))
    w.add_mark(NOW + 10, crash)
    w.add(build_withdraw(0, 1, 9), (get_keys()[0], compute_withdraw_digest(RULES.domain, 0, 1, 9)))
    return w


def make_batches() -> list[Batch]:
    cash = (5 * 10**10, 10**12)
    deposits = [Message(NOW, VAULT_AUTHORITY, encode_row(build_deposit(i, get_keys()[i].address, cash[i])), b"") for i in range(2)]
    own = Message(NOW + 2, get_keys()[1].address, encode_row(build_cancel(1, 9, True)) + b"\xc1", b"")
    first = write_trading().encode(NOW + 20), Frame(NOW + 30, b"\x00junk", b"")
    second = (write_crash().encode(NOW + 70),)
    return [
        Batch(compute_record(0, NOW, NOW + 60, 0, deposits, first), tuple(deposits), first),
        Batch(compute_record(1, NOW + 60, NOW + 90, 2, [own], second), (own,), second),
    ]


def test_every_step_of_an_epoch_is_equal() -> None:
    machine = Machine(State(DEVNET), make_batches(), RULES)
    codes: Counter[tuple[Phase, Code]] = Counter()
    while not machine.is_halted:
        outcome = assert_twins(machine.header, machine.state.copy(), machine.preimages.copy(), RULES)
        applied = machine.step()
        assert (machine.header, applied.code) == (outcome.after, outcome.code)
        codes[applied.phase, applied.code] += 1
    assert {phase for phase, code in codes if code == Code.OK} == set(Phase)
    assert codes[Phase.TERMS, Code.OVERFILL] == 1
    assert codes[Phase.WITHDRAW, Code.FLAGGED] == 1
    assert codes[Phase.INFLATE, Code.MALFORMED] == 1
    assert machine.state.get_account(0).flag > 0
    assert machine.state.get_word(0) == 1
    assert sum(a.cash for a in machine.state.accounts.values()) + machine.state.globals.fees + 10**9 == 5 * 10**10 + 10**12
