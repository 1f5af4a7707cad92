"""Rows from registration to commitment, each step by both twins: two traders in one calm market."""

from protocol.codes import Code
from protocol.fixed_point import div_down
from protocol.keccak import compute_array_hash
from protocol.kernel import get_quote
from protocol.legs import Leg, decode_legs, pack_leg
from protocol.machine import Preimages
from protocol.margin import compute_mark
from protocol.operations import COMBO_HEAD, MAX_FEE_CAP, build_combo, build_order, build_sheet, build_trade, get_layout
from protocol.rules import Rules
from protocol.series import UNDERLYING_SHIFT, encode_series
from protocol.signing import compute_page_hash
from protocol.state import State
from protocol.steps import combo, order, sheet
from protocol.steps.terms import compute_fee
from protocol.types import LOTS_PER_UNIT, Account, Market, Order, Page, Phase, Slice, TwoWay
from sim.twins import assert_twins
from tests.steps_b.worlds import ADDRESSES, DAY_S, INDEX, NANO, NOW, World, make_globals, make_rules, sign

RULES = make_rules()
CLOCK = NOW + 5
UNTIL = CLOCK + 100
EXPIRY = NOW + 30 * DAY_S
MAKER, TAKER = 0, 1
RICH = 10**12  # 1e-6 USD
SLOTS = RULES.params.order_slots


def make_market(underlying: int, halted_until: int = 0) -> Market:
    """One expiry, at 60 % volatility or so."""
    shape = (NANO // 50, NANO // 50, 0, 0, NANO // 5)
    slices = (Slice(EXPIRY, INDEX[underlying], *shape), Slice(EXPIRY + DAY_S, INDEX[underlying], *shape))
    return Market(INDEX[underlying], NOW, slices, halted_until=halted_until)


def get_series(percent: int, is_call: int, underlying: int = 0, expiry: int = EXPIRY) -> int:
    """A strike at so many percent of the index."""
    return encode_series(underlying, expiry, INDEX[underlying] // 100 * percent, is_call)


CALL = get_series(100, 1)


class Exchange:
    """The state as it moves on. Whoever signs is the account's owner, unless `key` says otherwise; keys are numbers of `worlds.KEYS`."""

    def __init__(self, rules: Rules = RULES, owners: tuple[int, ...] = (0, 1)) -> None:
        self.rules, self.state = rules, State(rules.params)
        self.state.put_globals(make_globals(accounts=len(owners)))
        self.state.put_markets((make_market(0), make_market(1)))
        for index, owner in enumerate(owners):
            self.put_account(index, Account(owner=ADDRESSES[owner], cash=RICH))
        self.owners = owners

    def put_account(self, index: int, account: Account) -> None:
        """With its bits."""
        World(self.rules, self.state).put_account(index, account)

    def run(self, items: tuple[int, ...], signature: bytes = b"") -> Code:
        """The row to its end."""
        layout = get_layout(items)
        assert layout is not None
        pre = Preimages([])
        pre.items, pre.signatures = items, signature
        header = World(self.rules, self.state, pre).get_header(layout.phase)._replace(scratch=compute_array_hash(items))
        before = self.state.get_root()
        while True:
            outcome = assert_twins(header, self.state, pre, self.rules)
            header = outcome.after
            if header.phase == Phase.FETCH:
                # refused it changes nothing
                assert outcome.code == Code.OK or self.state.get_root() == before
                return outcome.code

    def place(
        self, index: int, is_buy: int, price: int, lots: int, nonce: int, series: int = CALL, until: int = UNTIL, flags: int = 0,
        cap: int = MAX_FEE_CAP, key: int | None = None,
    ) -> Code:  # fmt: skip
        """An ORDER."""
        items = build_order(index, series, is_buy, price, lots, nonce, until, flags, cap)
        digest = order.compute_digest(items, self.state.get_account(index), self.rules)
        return self.run(items, sign(self.owners[index] if key is None else key, digest))

    def place_combo(
        self, index: int, is_buy: int, price: int, lots: int, nonce: int, legs: tuple[Leg, ...], flags: int = 0, cap: int = MAX_FEE_CAP
    ) -> Code:
        """A COMBO."""
        items = build_combo(index, legs, is_buy, price, lots, nonce, UNTIL, flags, cap)
        signed, _ = decode_legs(items[COMBO_HEAD:])
        digest = combo.compute_digest(items, signed, self.state.get_account(index), self.rules)
        return self.run(items, sign(self.owners[index], digest))

    def place_page(
        self, index: int, nonce: int, pages: tuple[Page, ...], page: int = 0, until: int = CLOCK + 30, key: int | None = None
    ) -> Code:
        """A SHEET: one of its pages."""
        hashes = [compute_page_hash(p.underlying, p.expiry, p.max_lots, [quote[:6] for quote in p.quotes]) for p in pages]
        items = build_sheet(index, nonce, until, hashes, page, pages[page])
        digest = sheet.compute_digest(items, pages[page], self.state.get_account(index), self.rules)
        return self.run(items, sign(self.owners[index] if key is None else key, digest))

    def trade(self, lots: int, m_slot: int = 1, t_slot: int = 2, maker: int = MAKER, taker: int = TAKER) -> Code:
        """A TRADE: TERMS, MAKER, TAKER, COMMIT."""
        return self.run(build_trade(maker, m_slot, taker, t_slot, lots))

    def get(self, index: int) -> Account:
        return self.state.get_account(index)

    def get_order(self, index: int, slot: int) -> Order:
        return self.state.get_order(index, slot)

    def get_fee(self, legs: tuple[Leg, ...], price: int, lots: int) -> int:
        """What the taker pays."""
        quotes = [quote for series, _ in legs if (quote := get_quote(series, self.state.markets)) is not None]
        packed = [pack_leg(*leg) for leg in legs]
        return compute_fee(packed, quotes, price, lots, self.rules.params.fees)


def get_mark(series: int, markets: tuple[Market, Market]) -> int:
    """A lot, rounded down."""
    mark = compute_mark(series, markets[series >> UNDERLYING_SHIFT])
    assert mark is not None
    return div_down(mark, LOTS_PER_UNIT)


def name_side(slot: int, quote: int, is_ask: int) -> int:
    """The maker slot of a TRADE that takes a side of a quote of the page in the slot."""
    return slot | (1 + 2 * quote + is_ask) << RULES.params.slot_depth


def make_page(max_lots: int, *quotes: TwoWay, expiry: int = EXPIRY) -> Page:
    """As its maker signs it."""
    return Page(underlying=0, expiry=expiry, max_lots=max_lots, quotes=quotes)


def make_quote(mark: int, lots: int, percent: int = 100) -> TwoWay:
    """A cent each way."""
    return TwoWay(INDEX[0] // 100 * percent, 1, mark - 10_000, lots, mark + 10_000, lots)
