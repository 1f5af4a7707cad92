"""A flagged account, whoever bids on it, and rows that run through the machine: the auction's own steps by both twins."""

from collections.abc import Sequence
from random import Random

from protocol.auction import compute_price
from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.kernel import REFERENCE
from protocol.legs import Leg
from protocol.machine import Preimages, StepFunction
from protocol.margin import Margin, compute_margin
from protocol.operations import BID_HEAD, LEG_ITEMS
from protocol.params import MINIMAL
from protocol.positions import apply_lots
from protocol.rules import Rules
from protocol.series import STRIKE_UNIT, encode_series
from protocol.signing import compute_bid_digest, compute_legs_hash
from protocol.state import State, View, put_bit
from protocol.steps import STEPS
from protocol.trace import Applied, Machine
from protocol.types import Account, Bitmap, Globals, Header, Market, Phase, Position, Slice, is_holder, is_risky
from sim.scribe import Scribe, get_address, sign
from sim.twins import assert_twins

START = 1_790_000_000
DAY_S = 86_400
USD = 1_000_000
RICH = 1_000_000_000 * USD
SPOTS = (90_000 * USD, 4_500 * USD)
EXPIRIES = (START + 7 * DAY_S, START + 30 * DAY_S)
TARGET, BIDDER, OTHER, FRIEND = range(4)  # OTHER holds the other side of everything; FRIEND has the target's owner
MARKS = 100
OWN_STEPS = (Phase.BID, Phase.TARGET, Phase.AWARD)


def make_market(spot: int) -> Market:
    """Two expiries, at about 60 % volatility with a skew."""
    slices = tuple(Slice(expiry, spot, 4_000_000, 12_000_000, -300_000_000, 0, 150_000_000) for expiry in EXPIRIES)
    return Market(spot, START, slices)


def make_series(underlying: int, month: int, percent: int, is_call: int) -> int:
    """Of a strike in per cent of the spot."""
    return encode_series(underlying, EXPIRIES[month], SPOTS[underlying] * percent // 100, is_call)


CALL = make_series(0, 1, 110, 1)
PUT = make_series(0, 1, 90, 0)
ALL_SERIES = [make_series(u, month, percent, kind) for u in (0, 1) for month in (0, 1) for percent in (60, 90, 110, 150) for kind in (0, 1)]
STRANGLE = ((PUT, -200), (CALL, -300))  # sold


def make_random(rng: Random) -> tuple["Auction", tuple[Leg, ...], int]:
    """Any account under auction, with any bid on it that it is large enough for; the bidder mostly rich."""
    chosen = sorted(rng.sample(ALL_SERIES, rng.randint(1, 6)))
    positions = tuple((series, rng.choice((-1, -1, 1)) * rng.randint(1, 300)) for series in chosen)
    held = tuple((series, rng.choice((-1, 1)) * rng.randint(1, 300)) for series in sorted(rng.sample(ALL_SERIES, rng.randint(0, 3))))
    bidder = Account(cash=rng.choice((RICH, RICH, RICH, 20_000 * USD, 1_000 * USD, 0, -5)), positions=held)
    auction = Auction(positions, rng.choice((0, 1, 30, 60, 90, 99, 110, 119, 121, -10)), rng.choice((0, 1, 5, 19, 20, 21, 90)), bidder)
    parts = sorted(rng.sample(positions, rng.randint(1, min(4, len(positions)))))
    sizes = [rng.randint(1, min(3, abs(lots))) for _, lots in parts]
    sizes[rng.randrange(len(sizes))] = 1
    most = min(abs(lots) // size for (_, lots), size in zip(parts, sizes, strict=True))
    legs = tuple((series, size if lots > 0 else -size) for (series, lots), size in zip(parts, sizes, strict=True))
    return auction, legs, rng.choice((1, most, rng.randint(1, most), rng.randint(1, most)))


def run_by_twins(rules: Rules, phase: Phase) -> StepFunction:
    """The step, with the comparison around it."""

    def step(h: Header, view: View, pre: Preimages, _: Rules) -> tuple[Header, Code]:
        assert isinstance(view, State)
        assert h.phase == phase
        outcome = assert_twins(h, view, pre, rules)
        return outcome.after, outcome.code

    return step


class Auction:
    """The target has `percent` of its maintenance as equity and was flagged `age` marks ago."""

    def __init__(
        self, positions: tuple[Position, ...] = STRANGLE, percent: int = 90, age: int = 5, bidder: Account | None = None, flag: bool = True
    ) -> None:
        self.scribe = Scribe(MINIMAL, START, traders=4)
        self.state = State(MINIMAL)
        self.state.put_markets((make_market(SPOTS[0]), make_market(SPOTS[1])))
        self.applied: list[Applied] = []
        margin = compute_margin(0, positions, self.state.markets)
        cash = margin.maintenance * percent // 100 - margin.equity
        bid = Account(cash=RICH) if bidder is None else bidder
        self.put_account(TARGET, Account(cash=cash, positions=positions, flag=MARKS - age if flag else 0))
        self.put_account(BIDDER, bid)
        held = tuple((series, -lots) for series, lots in positions)
        for series, lots in bid.positions:
            held = apply_lots(held, series, -lots)
        self.put_account(OTHER, Account(cash=RICH, positions=held))
        self.put_account(FRIEND, Account(cash=RICH))
        money = sum(a.cash for a in self.state.accounts.values())
        self.state.put_globals(Globals(START, 1_000, START, accounts=4, marks=MARKS, balance=money))

    def put_account(self, index: int, account: Account) -> None:
        """With its owner and its bits."""
        owner = get_address(self.scribe.keys[TARGET if index == FRIEND else index])
        a = account._replace(owner=owner)
        self.state.put_account(index, a)
        put_bit(self.state, Bitmap.RISKY, index, bool(a.flag) or is_risky(a.cash, a.positions))
        put_bit(self.state, Bitmap.HOLDER, index, is_holder(a))

    def get_account(self, index: int) -> Account:
        """As it is now."""
        return self.state.get_account(index)

    def get_margin(self, index: int) -> Margin:
        """At the marks of now."""
        a = self.get_account(index)
        return compute_margin(a.cash, a.positions, self.state.markets)

    def get_price(self, *legs: Leg) -> int:
        """Of a unit, now."""
        return compute_price(legs, self.state.globals.marks - self.get_account(TARGET).flag, self.state.markets, REFERENCE)

    def tick(self, seconds: int) -> None:
        """Time passes, and no mark comes."""
        self.scribe.clock += seconds
        self.state.put_globals(self.state.globals._replace(clock=self.scribe.clock, accrued=self.scribe.clock))

    def count_marks(self, marks: int) -> None:
        """So many marks come, and change nothing but their number."""
        g = self.state.globals
        self.state.put_globals(g._replace(marks=g.marks + marks))

    def bid(self, *legs: Leg, units: int, limit: int | None = None, bidder: int = BIDDER) -> Code:
        """A bid, by default for what it costs: what became of it."""
        self.scribe.bid(bidder, TARGET, legs, units, self.get_price(*legs) if limit is None else limit)
        return self.run()[-1]

    def post(self, items: Sequence[int], signer: int | None = None) -> Code:
        """Any row of a bid, its terms signed as they stand in it: what became of it."""
        _, account, target, units, limit, nonce, valid_until = items[:BID_HEAD]
        legs = [items[at : at + LEG_ITEMS] for at in range(BID_HEAD, len(items), LEG_ITEMS)]
        terms = [(of, expiry, (strike >> 1) * STRIKE_UNIT, strike & 1, decode_zigzag(ratio)) for of, expiry, strike, ratio in legs]
        signed = (units, decode_zigzag(limit), nonce, valid_until)
        digest = compute_bid_digest(self.scribe.rules.domain, account, target, compute_legs_hash(terms), signed)
        self.scribe.add(items, sign(self.scribe.keys[account % 4 if signer is None else signer], digest))
        return self.run()[-1]

    def run(self) -> list[Code]:
        """The code of each row since the last run; `applied` has every step."""
        rules = self.scribe.rules
        own = {phase: run_by_twins(rules, phase) for phase in OWN_STEPS}
        machine = Machine(self.state, [self.scribe.close_batch()], rules, {**STEPS, **own})
        self.applied = []
        while not machine.is_halted:
            self.applied.append(machine.step())
        after = [step.phase for step in self.applied[1:]] + [Phase.OPEN]
        return [step.code for step, then in zip(self.applied, after, strict=True) if step.phase > Phase.FETCH == then]

    def get_money(self) -> int:
        """All cash there is."""
        g = self.state.globals
        return sum(a.cash for a in self.state.accounts.values()) + g.fund + g.fees + g.pool - g.debt

    def count_lots(self) -> dict[int, int]:
        """Of every series, over all accounts: what is not zero."""
        total: dict[int, int] = {}
        for a in self.state.accounts.values():
            for series, lots in a.positions:
                total[series] = total.get(series, 0) + lots
        return {series: lots for series, lots in total.items() if lots}

    def get_bits(self, index: int) -> tuple[bool, bool]:
        """RISKY and HOLDER; all accounts are in the first word."""
        depth = MINIMAL.account_depth - 8
        risky, holder = (self.state.get_word(bitmap << depth) >> index & 1 for bitmap in (Bitmap.RISKY, Bitmap.HOLDER))
        return bool(risky), bool(holder)
