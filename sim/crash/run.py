"""Runs the rules through a recorded crash, and holds every scan against what must happen.

The leap applies rows as a sequencer's would be, all of them signed. After each mark an independent pass over all accounts says who had to
be flagged; the report counts who was liquidated by whom, and what nobody could pay.
"""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from protocol.codes import Code
from protocol.fixed_point import div_down
from protocol.leap import Leap
from protocol.margin import compute_margin, compute_mark
from protocol.params import MAINNET, Params
from protocol.series import decode_series
from protocol.state import State
from protocol.types import LOTS_PER_UNIT, Account, Market, is_risky
from sim.crash.paths import Instant, read_bars_path, read_minutes_path, read_quotes_path
from sim.crash.people import BIDDERS, MAKERS, PROVIDERS, SPECIAL, Deal, make_cash, make_deals
from sim.scribe import Scribe

BID_AGE = 5  # marks after the flag at which bidders find the discount worth it
BIDS_A_MARK = 25
ENTRY = 1_500_000_000_000  # of each provider, 1e-6 USD
NO_LIMIT = (1 << 60) - 1


PATHS: tuple[tuple[str, str, Callable[[Path], Iterable[Instant]]], ...] = (
    ("BTC options, 2020-12-01", "deribit_btc_atm_quotes_20201201.csv.gz", read_quotes_path),
    ("BTC and ETH, 2019-06-25 to 28", "spot_1m_btc_eth_20190625_28.csv.gz", read_minutes_path),
    ("ETH, 2020-03-12", "spot_10m_eth_crash_20200312_20210111_20210519.csv", partial(read_bars_path, day="2020-03-12")),
)


class Broken(AssertionError):
    """The rules did something else than they must."""


@dataclass
class Report:
    """Amounts in USD."""

    path: str
    accounts: int = 0
    marks: int = 0
    halts: int = 0
    flagged: int = 0
    unflagged: int = 0
    auctions: int = 0  # flagged accounts that somebody bid on
    taken_by_bidders: int = 0  # accepted bids
    taken_by_pool: int = 0
    deleveraged: int = 0
    fund: float = 0.0  # at the end
    pool: float = 0.0
    bad_debt: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)
    invariants: str = "held after every mark: cash conserved, series sum to zero, flagged exactly whom they must, in index order"

    def describe(self) -> str:
        """One line."""
        return (
            f"{self.path}: {self.accounts} accounts, {self.marks} marks, {self.halts} halts; {self.flagged} flagged, "
            f"{self.unflagged} recovered, {self.auctions} auctions, {self.taken_by_bidders} bids, {self.taken_by_pool} taken by the pool, "
            f"{self.deleveraged} deleveraged; "
            f"pool {self.pool:,.0f}, fund {self.fund:,.0f}, bad debt {self.bad_debt:,.0f} USD; {self.invariants}"
        )


class Crash:
    """One exchange, many accounts, one path of marks."""

    def __init__(self, name: str, accounts: int, seed: int, params: Params = MAINNET, entry: int = ENTRY) -> None:
        """`entry` is what each provider puts into the pool, in 1e-6 USD."""
        self.rng = random.Random(seed)
        self.cash = make_cash(self.rng, accounts)
        self.params = replace(params, pool_delay_s=0)  # the providers are in from the start
        self.scribe = Scribe(self.params, 0, traders=accounts)
        self.leap = Leap(State(self.params), self.scribe.rules)
        self.report = Report(name, accounts)
        self._entry = entry
        self._traded: set[int] = set()  # underlyings
        self._auctioned: set[tuple[int, int]] = set()

    @property
    def state(self) -> State:
        """As the leap has it."""
        return self.leap.state

    def run(self, path: Iterable[Instant]) -> Report:
        """To the end of the path."""
        for instant in path:
            self.scribe.clock = instant.time
            if not self._traded:
                self._open()
            for of, market in instant.markets.items():
                self._mark(of, market)
                if of not in self._traded:
                    self._traded.add(of)
                    self._trade(of)
            self._bid()
        return self._finish()

    # -- what happens

    def _say(self) -> list[Code]:
        """Applies what the scribe has written."""
        batch = self.scribe.close_batch()
        codes = [outcome.code for outcome in self.leap.apply_batch(batch)]
        for code in codes:
            if code != Code.OK:
                self.report.refused[code.name] = self.report.refused.get(code.name, 0) + 1
        return codes

    def _open(self) -> None:
        """Everybody deposits; the providers ask to enter the pool."""
        for trader, amount in enumerate(self.cash):
            self.scribe.deposit(trader, amount)
        self._say()
        for provider in range(MAKERS + BIDDERS, MAKERS + BIDDERS + PROVIDERS):
            self.scribe.pool(provider, self._entry)
        self._say()

    def _trade(self, of: int) -> None:
        """The speculators' ideas, at the mark."""
        market = self.state.markets[of]
        for deal in make_deals(self.rng, self.cash, of, market):
            self._deal(deal, market)

    def _deal(self, deal: Deal, market: Market) -> None:
        price = max(div_down(compute_mark(deal.series, market) or 0, LOTS_PER_UNIT), 1)
        is_buy = int(deal.lots > 0)
        offer = self.scribe.order(deal.maker, deal.series, 1 - is_buy, price, abs(deal.lots))
        take = self.scribe.order(deal.trader, deal.series, is_buy, price, abs(deal.lots))
        self.scribe.trade(deal.maker, offer, deal.trader, take, abs(deal.lots))
        self._say()

    def _bid(self) -> None:
        """Bidders take the largest short of accounts whose discount has grown."""
        marks = self.state.globals.marks
        ripe = [index for index, a in sorted(self.state.accounts.items()) if a.flag and marks - a.flag >= BID_AGE]
        for index in ripe[:BIDS_A_MARK]:
            a = self.state.accounts[index]
            shorts = [(lots, series) for series, lots in a.positions if lots < 0 and decode_series(series).expiry > self.scribe.clock]
            if not shorts or index >= self.params.max_accounts or index < SPECIAL:
                continue
            lots, series = min(shorts)
            units = self._find_units(a, series, -lots)
            bidder = MAKERS + self.rng.randrange(BIDDERS)
            self.scribe.bid(bidder, index, [(series, -1)], units, NO_LIMIT)
            if self._say()[0] == Code.OK:
                self.report.taken_by_bidders += 1
                self._auctioned.add((index, a.flag))

    def _find_units(self, a: Account, series: int, most: int) -> int:
        """As few as restore the buffer, as far as one series can."""
        low, high = 1, most
        while low < high:
            units = low + high >> 1
            left = tuple((of, lots + units if of == series else lots) for of, lots in a.positions)
            mark = -div_down(-(compute_mark(series, self.state.markets[decode_series(series).underlying]) or 0), LOTS_PER_UNIT)
            after = compute_margin(a.cash - units * mark, tuple(item for item in left if item[1]), self.state.markets)
            low, high = (low, units) if 5 * after.equity >= 6 * after.maintenance else (units + 1, high)
        return low

    # -- what must happen

    def _mark(self, of: int, market: Market) -> None:
        before = dict(self.state.accounts)
        was_halted = self.state.markets[of].halted_until
        self.scribe.mark(of, market)
        if self._say()[0] != Code.OK:
            return
        self.report.marks += 1
        self.report.halts += self.state.markets[of].halted_until != was_halted
        self._check_flags(before)
        self._check_sums()

    def _check_flags(self, before: dict[int, Account]) -> None:
        """Who was flagged or not against the reference, from the accounts as they were before the mark."""
        marks = self.state.globals.marks
        expected = []
        for index in sorted(before):
            a = before[index]
            if index >= self.params.max_accounts or a.flag or not is_risky(a.cash, a.positions):
                continue
            margin = compute_margin(a.cash, a.positions, self.state.markets)
            if a.cash < 0 or (margin.has_short and margin.equity < margin.maintenance):
                expected.append(index)
        flagged = [
            index for index in sorted(before) if self.state.accounts[index].generation > before[index].generation and not before[index].flag
        ]
        if flagged != expected:
            raise Broken(f"mark {marks}: flagged {flagged}, expected {expected}")
        self.report.flagged += len(flagged)
        for index, a in before.items():
            after = self.state.accounts[index]
            if a.flag and not after.flag and index < self.params.max_accounts:
                if after.positions or not a.positions:
                    self.report.unflagged += 1
                elif any(other.positions == a.positions for at, other in self.state.accounts.items() if at >= self.params.max_accounts):
                    self.report.taken_by_pool += 1
                else:
                    self.report.deleveraged += 1

    def _check_sums(self) -> None:
        """Cash is conserved to the unit, and every series sums to zero."""
        g = self.state.globals
        money = g.fund + g.fees + g.pool - g.debt
        sums: dict[int, int] = {}
        for a in self.state.accounts.values():
            money += a.cash + max(a.request, 0)
            for series, lots in a.positions:
                sums[series] = sums.get(series, 0) + lots
        if money != g.balance:
            raise Broken(f"{money - g.balance} too much")
        if any(sums.values()):
            raise Broken("a series does not sum to zero")

    def _finish(self) -> Report:
        g = self.state.globals
        usd = 1_000_000
        self.report.auctions = len(self._auctioned)
        self.report.fund, self.report.pool, self.report.bad_debt = g.fund / usd, (g.pool + g.slots_equity) / usd, g.debt / usd
        return self.report


def run_crashes(folder: Path, accounts: int, seed: int, out: Path) -> int:
    """Each recorded crash whose file is there; the exit code. Writes `crash.json`."""
    console = Console()
    reports: list[Report] = []
    broken = False
    for name, file, read in PATHS:
        if not (folder / file).exists():
            console.print(f"{name}: no {file}", highlight=False)
            continue
        crash = Crash(name, accounts, seed)
        try:
            crash.run(read(folder / file))
        except Broken as error:
            crash.report.invariants = f"BROKEN: {error}"
            broken = True
        reports.append(crash.report)
        console.print(crash.report.describe(), highlight=False, soft_wrap=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "crash.json").write_text(json.dumps([asdict(report) for report in reports], indent=1) + "\n")
    return 1 if broken or not reports else 0
