"""The most expensive start of each step that we know how to build, on purpose. Gas snapshots and the stake rest on these."""

from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.codec.rows import MAX_ITEMS, encode_row
from protocol.keccak import compute_array_hash, keccak
from protocol.legs import compute_signed_legs, pack_leg, pack_plain
from protocol.machine import Preimages
from protocol.margin import compute_mark
from protocol.operations import (
    MAX_FEE_CAP,
    build_authorize,
    build_bid,
    build_cancel,
    build_combo,
    build_deposit,
    build_mark,
    build_order,
    build_pool,
    build_settle,
    build_sheet,
    build_shutdown,
    build_trade,
    build_withdraw,
)
from protocol.positions import is_bounded
from protocol.rules import Rules
from protocol.series import decode_series, encode_series
from protocol.signing import (
    compute_authorize_digest,
    compute_bid_digest,
    compute_cancel_digest,
    compute_mark_digest,
    compute_order_digest,
    compute_pool_digest,
    compute_settle_digest,
    compute_withdraw_digest,
)
from protocol.state import State, get_word_index
from protocol.steps import combo, sheet
from protocol.sweeps.settle import LISTING_SHIFT
from protocol.types import (
    LOTS_PER_UNIT,
    MAX_ACCOUNT_LOTS,
    MAX_CASH,
    MAX_FORWARD,
    MAX_LOTS,
    MAX_PAGES,
    MAX_POSITIONS,
    MAX_QUOTES,
    MAX_RATIO,
    VAULT_AUTHORITY,
    Account,
    Bitmap,
    Globals,
    Market,
    Mode,
    Order,
    Page,
    Phase,
    Position,
    Slice,
    Sweep,
    Trade,
    TwoWay,
    compute_record_hash,
    compute_sweep_hash,
    compute_trade_hash,
)
from sim.twins.auction_cases import load_auction, make_terms
from sim.twins.cases import make_open
from sim.twins.deflate import make_dear_frames
from sim.twins.dice import FILLER, Dice, get_keys, sign
from sim.twins.replay import Start
from sim.twins.worlds import DAY_S, NANO, NOW, World, load_items, make_header

LAST = 1_023  # the last signature of the largest source
EXPIRIES = tuple(NOW + DAY_S * (day + 1) for day in range(16))
FORWARD = 50_000 * 10**6
STRIKES = (5_000 * 10**6, 6_000 * 10**6, 450_000 * 10**6, 495_000 * 10**6)  # as far as an opening may be: logarithms of the most steps


def fill_source(signatures: list[bytes], number: int) -> bytes:
    """1,024 signatures, these from `number` on."""
    rest = 1_024 - number - len(signatures)
    return FILLER[: 65 * number] + b"".join(signatures) + FILLER[: 65 * rest]


def make_full_slice(expiry: int) -> Slice:
    """A surface in which nothing is zero, so high that even a far strike is priced to the end in every scenario."""
    return Slice(expiry, FORWARD, a=NANO // 2, b=NANO // 3, rho=-NANO // 3, m=NANO // 7, sigma=NANO // 5)


def make_full_world(rules: Rules, sign_of_last: int = -1) -> World:
    """Two accounts in one word with 128 positions each, over all slices of both markets, all of them short or all long."""
    dice = Dice(3)
    state = State(rules.params)
    slices = tuple(make_full_slice(expiry) for expiry in EXPIRIES)
    state.put_markets((Market(FORWARD, NOW, slices), Market(FORWARD, NOW, slices)))
    state.put_globals(Globals(NOW, 1_000, NOW, 300, 7, outbox=5, balance=1 << 62))
    pairs = [(u, expiry, strike, kind) for u in (0, 1) for expiry in EXPIRIES for strike in STRIKES for kind in (0, 1)]
    series = sorted(encode_series(*pair) for pair in pairs)
    world = World(state, rules, dice, series, [0, 255], {0: get_keys()[0], 255: get_keys()[1]})
    lots = MAX_ACCOUNT_LOTS // MAX_POSITIONS - 1
    for index, sign_of in ((0, -1), (255, sign_of_last)):
        positions = tuple((item, sign_of * lots) for item in series[::2][:MAX_POSITIONS])
        assert is_bounded(positions)
        assert len(positions) == MAX_POSITIONS
        state.put_account(index, Account(world.keys[index].address, MAX_CASH >> 1, positions=positions))
        world.set_account(index)
    return world


def make_dear_trade(world: World, at: int) -> Trade:
    """Two legs that close positions of the maker, and of a taker with longs, and two that open: then 130 series are priced. All of the
    account's first, or with `at` 1 its last."""
    chosen = world.series[-4:] if at else world.series[:4]
    legs = tuple(pack_leg(series, 1) for series in chosen)
    lots = abs(world.state.get_account(0).positions[0][1])
    return Trade(0, 1, 255, 2, legs, lots, 10**6, 50_000)


def make_worst_message(rules: Rules) -> Start:
    """256 messages wait in one batch."""
    messages = tuple(Message(NOW + i, VAULT_AUTHORITY, b"\xff" * 1_024, b"") for i in range(256))
    record = compute_record(2**32, NOW, NOW + 60, 5, messages, ())
    header = make_header(Dice(1), Phase.MESSAGE, batch=1, record=compute_record_hash(record), message=255, messages=256)
    return Start(header, make_full_world(rules).state, Preimages([Batch(record, messages, ())]), rules)


def make_worst_inflate(rules: Rules) -> Start:
    """The last of sixteen frames, which turns full tables and thousands of short matches into eight kilobytes."""
    frames = tuple(Frame(NOW + 9, data, FILLER[: 65 * 1_024]) for data in make_dear_frames()[-1:] * 16)
    record = compute_record(2**32, NOW, NOW + 60, 5, (), frames)
    header = make_header(Dice(2), Phase.INFLATE, batch=1, record=compute_record_hash(record), frame=15, frames=16)
    return Start(header, make_full_world(rules).state, Preimages([Batch(record, (), frames)]), rules)


def make_worst_fetch(rules: Rules, is_mark: bool) -> Start:
    """The last row of a full frame: a whole MARK, or as many items of 32 bytes as a row holds."""
    items = build_mark(1, NOW - 5, make_full_world(rules).state.markets[0]) if is_mark else (2**256 - 1,) * MAX_ITEMS
    row = encode_row(items)
    filler = b"".join(encode_row((0, 2**256 - 1 - i)) for i in range(230))
    rows = filler[: 8_192 - len(row)] + row
    pre = Preimages([])
    pre.rows = rows
    header = make_header(Dice(1), Phase.FETCH, rows=keccak(rows), offset=len(rows) - len(row))
    return Start(header, make_full_world(rules).state, pre, rules)


def make_worst_signed(rules: Rules, phase: Phase) -> Start:
    """The last signature of a full source, by an account with everything it may have."""
    world = make_full_world(rules)
    account, key = world.state.get_account(255), get_keys()[1]
    nonce = 2**64 - 1
    match phase:
        case Phase.ORDER:
            series = encode_series(1, EXPIRIES[15], STRIKES[3], 1)
            items = build_order(255, series, 1, 2**36, MAX_LOTS, nonce, 2**40 - 1)
            terms = (255, *decode_series(series), 1, 2**36, MAX_LOTS, 0, 0, 0, MAX_FEE_CAP, nonce, account.generation, 2**40 - 1)
            digest = compute_order_digest(rules.domain, terms)
            world.state.put_order(255, rules.params.get_slot(nonce), Order(3, 0, pack_plain(series), 1, 5, 5, NOW, 5))
        case Phase.CANCEL:
            items, digest = build_cancel(255, nonce), compute_cancel_digest(rules.domain, 255, nonce)
        case Phase.AUTHORIZE:
            session = (2**160 - 1, 3, 2**40 - 1, nonce)
            items, digest = build_authorize(255, *session), compute_authorize_digest(rules.domain, 255, *session)
        case Phase.POOL:
            items, digest = build_pool(255, 10**7, nonce), compute_pool_digest(rules.domain, 255, 10**7, nonce, False)
        case _:
            items, digest = build_withdraw(255, 2**60, nonce), compute_withdraw_digest(rules.domain, 255, 2**60, nonce)
    header, pre = load_items(make_header(Dice(1), phase, signature=LAST), items, fill_source([sign(key, digest)], LAST))
    return Start(header, world.state, pre, rules)


def make_worst_deposit(rules: Rules) -> Start:
    """Into a full account."""
    header = make_header(Dice(1), Phase.DEPOSIT, authority=VAULT_AUTHORITY)
    header, pre = load_items(header, build_deposit(255, get_keys()[1].address, 10**12))
    return Start(header, make_full_world(rules).state, pre, rules)


def make_worst_combo(rules: Rules) -> Start:
    """Four legs, the last signature of a full source."""
    world, nonce, until = make_full_world(rules), 2**64 - 1, 2**40 - 1
    legs = tuple((series, MAX_RATIO) for series in world.series[-4:])
    items = build_combo(255, legs, 1, -(2**36), MAX_LOTS, nonce, until)
    digest = combo.compute_digest(items, legs, world.state.get_account(255), rules)
    header, pre = load_items(make_header(Dice(1), Phase.COMBO, signature=LAST), items, fill_source([sign(get_keys()[1], digest)], LAST))
    return Start(header, world.state, pre, rules)


def make_worst_sheet(rules: Rules) -> Start:
    """The last of eight pages, full of quotes, by the last signature of a full source."""
    world, nonce = make_full_world(rules), 2**64 - 8
    hashes = [keccak(bytes((page,))) for page in range(MAX_PAGES)]
    quotes = tuple(TwoWay(STRIKES[at & 3] + 10_000 * at, 1, 2**36, MAX_LOTS, 2**37 - 1, MAX_LOTS) for at in range(MAX_QUOTES))
    page = Page(underlying=1, expiry=EXPIRIES[15], max_lots=2**26 - 1, quotes=quotes)
    items = build_sheet(255, nonce, NOW + rules.params.sheet_life_s, hashes, MAX_PAGES - 1, page)
    digest = sheet.compute_digest(items, page, world.state.get_account(255), rules)
    header, pre = load_items(make_header(Dice(1), Phase.SHEET, signature=LAST), items, fill_source([sign(get_keys()[1], digest)], LAST))
    return Start(header, world.state, pre, rules)


def make_worst_terms(rules: Rules) -> Start:
    """Four legs in the last slices of the second market, at their marks."""
    world = make_full_world(rules)
    state = world.state
    legs = tuple(pack_leg(series, MAX_RATIO) for series in world.series[-4:])
    price = sum(compute_mark(leg >> 32, state.markets[1]) or 0 for leg in legs)  # of a hundred lots, which are a unit of the underlying
    for index, slot, is_buy in ((0, 1, 1), (255, 2, 0)):
        state.put_order(index, slot, Order(9, 0, legs, is_buy, price, MAX_LOTS, 2**40 - 1, fee_cap=MAX_FEE_CAP))
    header, pre = load_items(make_header(Dice(1), Phase.TERMS), build_trade(0, 1, 255, 2, MAX_LOTS))
    return Start(header, state, pre, rules)


def make_worst_trade(rules: Rules, phase: Phase, at: int) -> Start:
    """With 128 positions on each side; for COMMIT both in one word."""
    world = make_full_world(rules, 1)
    trade = make_dear_trade(world, at)
    for index, slot in ((0, 1), (255, 2)):
        world.state.put_order(index, slot, Order(9, 0, trade.legs, 1, 10**6, MAX_LOTS, 2**40 - 1))
    pre = Preimages([])
    pre.trade = trade
    return Start(make_header(Dice(1), phase, scratch=compute_trade_hash(trade)), world.state, pre, rules)


def load_quorum(phase: Phase, items: tuple[int, ...], digest: bytes, state: State, rules: Rules) -> Start:
    """Signed by the last oracles of the list, with signatures in two chunks of a full source."""
    quorum = rules.params.quorum
    number = LAST - 32 - quorum + 2
    signatures = [sign(key, digest) for key in get_keys()[-quorum:]]
    header, pre = load_items(make_header(Dice(1), phase, signature=number), items, fill_source(signatures, number))
    return Start(header, state, pre, rules)


def make_worst_mark(rules: Rules) -> Start:
    """Sixteen slices, and a quorum's signatures where they are dearest."""
    world = make_full_world(rules)
    state, p = world.state, rules.params
    time = NOW + p.mark_gap_s
    state.put_globals(state.globals._replace(clock=time))
    items = build_mark(1, NOW, state.markets[1]._replace(mark_time=time))
    digest = compute_mark_digest(rules.domain, 1, NOW, time, items[4], items[5:])
    return load_quorum(Phase.MARK, items, digest, state, rules)


def make_worst_settle(rules: Rules) -> Start:
    """The last of sixteen slices, signed as the worst mark is."""
    state = make_full_world(rules).state
    items = build_settle(1, EXPIRIES[-1], MAX_FORWARD - MAX_FORWARD % LOTS_PER_UNIT)
    state.put_globals(state.globals._replace(clock=EXPIRIES[-1]))
    digest = compute_settle_digest(rules.domain, *items[1:])
    return load_quorum(Phase.SETTLE, items, digest, state, rules)


def make_worst_shutdown(rules: Rules) -> Start:
    """The second one, which opens the scan over everybody."""
    world = make_full_world(rules)
    state = world.state
    state.put_globals(state.globals._replace(shutdown=NOW - rules.params.shutdown_s))
    header, pre = load_items(make_header(Dice(1), Phase.SHUTDOWN, authority=2**160 - 1), build_shutdown())
    return Start(header, state, pre, rules)


def make_last_positions(first: int) -> tuple[Position, ...]:
    """127 shorts and a long in the last slice of the second market, which every mark looks for from the first on; one lot of each."""
    strikes = [STRIKES[-1] - 10**7 * at for at in reversed(range(MAX_POSITIONS // 2))]
    series = [encode_series(1, EXPIRIES[-1], strike, kind) for strike in strikes for kind in (0, 1)]
    return ((first, -1), *((item, -1) for item in series[1:-1]), (series[-1], 1))


def make_worst_scan(rules: Rules, mode: Mode, phase: Phase = Phase.SCAN) -> Start:
    """128 positions of the last account of a word: it is ripe, the first of it settles, or it has a part of every line."""
    is_adl = mode in (Mode.ADL_TALLY, Mode.ADL_CUT)
    world = make_full_world(rules, 1 if is_adl else -1)
    state = world.state
    positions = state.get_account(255).positions
    if phase == Phase.DELEVERAGE or mode in (Mode.SETTLE_TALLY, Mode.SETTLE_PAY, Mode.SHUTDOWN_TALLY, Mode.SHUTDOWN_PAY):
        positions = make_last_positions(encode_series(0, EXPIRIES[0], STRIKES[0], 0))
    world.set_account(255, cash=-(10**15), flag=1, shares=5, positions=positions)
    for bitmap in Bitmap:
        state.put_word(get_word_index(bitmap, 0, rules.params), 1 << 255)
    pool = 0 if phase == Phase.DELEVERAGE else 10**16
    state.put_globals(state.globals._replace(accounts=256, marks=40, pool=pool, shares=10**12, requests=1))
    sweep = Sweep(mode, 256 if phase != Phase.SCAN else 0, total=10**18, loss=10**17, before=10**16, pot=10**14)
    match phase, mode:
        case Phase.TAKEOVER, _:
            sweep = Sweep(cursor=256, account=255, equity=-(10**12), maintenance=10**13)
        case Phase.DELEVERAGE, _:
            sweep = Sweep(bankrupt=256)
        case _, Mode.SETTLE_TALLY | Mode.SETTLE_PAY:
            sweep = sweep._replace(listing=positions[0][0] >> LISTING_SHIFT, price=100)
        case _, Mode.REQUEST:
            world.set_account(255, request=-3)
    pre = Preimages([])
    if is_adl:
        line = 2**40 << 128 | 2**44 << 64 | 2**40
        pre.lines = tuple(word for series, lots in positions for word in (series << 32 | lots, line))
        sweep = sweep._replace(lines=compute_array_hash(pre.lines))
    pre.sweep = sweep
    return Start(make_header(Dice(1), phase, scratch=compute_sweep_hash(sweep)), state, pre, rules)


def make_worst_auction(rules: Rules, phase: Phase) -> Start:
    """Four legs of 128 shorts, to a bidder with as many longs; the last signature of a full source."""
    world = make_full_world(rules, 1)
    world.set_account(0, flag=1)
    held = world.state.get_account(0).positions
    legs = tuple((held[at][0], -1) for at in (119, 123, 126, 127))
    if phase != Phase.BID:
        return load_auction(phase, world, make_terms(world, 255, 0, legs, 3))
    nonce, until, limit = 2**64 - 1, 2**40 - 1, 2**62
    digest = compute_bid_digest(rules.domain, 255, 0, compute_signed_legs(legs), (3, limit, nonce, until))
    source = fill_source([sign(get_keys()[1], digest)], LAST)
    header, pre = load_items(make_header(Dice(1), phase, signature=LAST), build_bid(255, 0, legs, 3, limit, nonce, until), source)
    return Start(header, world.state, pre, rules)


def make_all_worst(rules: Rules) -> list[Start]:
    """Of every step at least one."""
    return [
        make_open(Dice(1), rules),
        make_worst_message(rules),
        make_worst_inflate(rules),
        make_worst_fetch(rules, True),
        make_worst_fetch(rules, False),
        make_worst_deposit(rules),
        *(make_worst_signed(rules, phase) for phase in (Phase.ORDER, Phase.CANCEL, Phase.WITHDRAW, Phase.AUTHORIZE, Phase.POOL)),
        make_worst_combo(rules),
        make_worst_sheet(rules),
        make_worst_terms(rules),
        *(make_worst_trade(rules, phase, at) for phase in (Phase.MAKER, Phase.TAKER, Phase.BIDDER, Phase.COMMIT) for at in (0, 1)),
        make_worst_mark(rules),
        make_worst_settle(rules),
        make_worst_shutdown(rules),
        *(make_worst_auction(rules, phase) for phase in (Phase.BID, Phase.TARGET, Phase.AWARD)),
        *(make_worst_scan(rules, mode) for mode in Mode),
        *(make_worst_scan(rules, Mode.FLAG, phase) for phase in (Phase.TAKEOVER, Phase.DELEVERAGE)),
    ]
