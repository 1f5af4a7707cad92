"""States in front of one step: markets, accounts and signatures, ordinary or at the edges of the rules."""

import random
from dataclasses import dataclass, field

from coincurve import PrivateKey

from protocol.codec.frames import SIGNATURE_BYTES, compute_signatures_hash
from protocol.keccak import compute_array_hash, keccak
from protocol.legs import pack_plain
from protocol.machine import Preimages
from protocol.params import MINIMAL, Params
from protocol.rules import Rules
from protocol.series import encode_series
from protocol.signing import compute_domain
from protocol.state import State, put_bit
from protocol.types import (
    MAX_ACCOUNT_LOTS,
    MAX_FORWARD,
    MAX_LOTS,
    MAX_SLICES,
    Account,
    Bitmap,
    Globals,
    Header,
    Market,
    Phase,
    Position,
    Slice,
    Trade,
    compute_trade_hash,
    is_holder,
    is_risky,
)
from sim.twins import Outcome, assert_twins
from sim.twins.replay import Start
from sim.twins.runner import get_twins

NOW = 1_700_000_000
DAY_S = 86_400
NANO = 1_000_000_000
MAX_PARAMETER = 64 * NANO
INDEX = (60_000_000_000, 3_000_000_000)
KEYS = [PrivateKey(bytes([number + 1]) * 32) for number in range(16)]
ADDRESSES = [int.from_bytes(keccak(key.public_key.format(compressed=False)[1:])[12:], "big") for key in KEYS]
ORACLE = 8  # the first oracle's key


def make_rules(params: Params = MINIMAL) -> Rules:
    """As many oracles as the network has."""
    return Rules(params, compute_domain(1, 0xABCD), tuple(ADDRESSES[ORACLE : ORACLE + params.oracle_count]))


def sign(key: int, digest: bytes) -> bytes:
    """65 bytes as L1 wants them."""
    found = KEYS[key].sign_recoverable(digest, hasher=None)
    return found[:64] + bytes((found[64] + 27,))


def place_signatures(found: list[bytes], first: int, rng: random.Random, after: int = 3) -> bytes:
    """`found` from number `first` on, between noise."""
    return rng.randbytes(first * SIGNATURE_BYTES) + b"".join(found) + rng.randbytes(after * SIGNATURE_BYTES)


@dataclass
class World:
    """A state, and what the machine carries in front of the step."""

    rules: Rules
    state: State
    pre: Preimages = field(default_factory=lambda: Preimages([]))

    def get_header(self, phase: Phase, signature: int = 0, authority: int = 0) -> Header:
        """In the middle of a frame, its scratch the trade's hash in the margin phases and else the row's; a scan has none."""
        header = Header(
            state=self.state.get_root(),
            inbox=keccak(b"inbox"),
            batches=5,
            batch=2,
            record=keccak(b"record"),
            message=1,
            messages=1,
            frame=1,
            frames=3,
            rows=keccak(b"rows"),
            authority=authority,
            signatures=compute_signatures_hash(self.pre.signatures),
            offset=77,
            signature=signature,
            phase=phase,
        )
        if phase in (Phase.MAKER, Phase.TAKER, Phase.BIDDER, Phase.COMMIT):
            assert self.pre.trade is not None
            return header._replace(scratch=compute_trade_hash(self.pre.trade))
        return header if phase == Phase.SCAN else header._replace(scratch=compute_array_hash(self.pre.items))

    def put_account(self, index: int, account: Account) -> None:
        """With its bits."""
        self.state.put_account(index, account)
        put_bit(self.state, Bitmap.RISKY, index, account.flag > 0 or is_risky(account.cash, account.positions))
        put_bit(self.state, Bitmap.HOLDER, index, is_holder(account))
        put_bit(self.state, Bitmap.REQUEST, index, account.request != 0)

    def run(self, phase: Phase, signature: int = 0, authority: int = 0) -> tuple[Outcome, State]:
        """The step by both twins, on copies: what it gave, and the state after it."""
        state, pre = self.state.copy(), self.pre.copy()
        return assert_twins(self.get_header(phase, signature, authority), state, pre, self.rules), state

    def count_reverts(self, phase: Phase, rng: random.Random, rounds: int, signature: int = 0, authority: int = 0) -> int:
        """Forged witnesses; each must revert or lead to the same."""
        outcome, _ = self.run(phase, signature, authority)
        start = Start(self.get_header(phase, signature, authority), self.state.copy(), self.pre.copy(), self.rules)
        return sum(get_twins().assert_robust(start, outcome, rng) for _ in range(rounds))


def make_slice(rng: random.Random, index: int, expiry: int, is_wild: bool = False) -> Slice:
    """Volatility 30 to 120 % with skew and smile; or any parameters that a MARK may bring."""
    if is_wild:
        return Slice(
            expiry,
            rng.choice((1, MAX_FORWARD, rng.randint(1, MAX_FORWARD), index)),
            rng.choice((-MAX_PARAMETER, MAX_PARAMETER, rng.randint(-NANO, NANO), 0)),
            rng.choice((0, MAX_PARAMETER, rng.randint(0, NANO))),
            rng.choice((1 - NANO, NANO - 1, rng.randint(1 - NANO, NANO - 1), 0)),
            rng.choice((-MAX_PARAMETER, MAX_PARAMETER, rng.randint(-NANO, NANO), 0)),
            rng.choice((0, MAX_PARAMETER, rng.randint(0, NANO))),
        )
    years = max(expiry - NOW, 1) / (365 * DAY_S)
    variance = rng.uniform(0.3, 1.2) ** 2 * years
    b = rng.uniform(0.1, 0.5) * variance
    sigma = rng.uniform(0.1, 0.6)
    shape = (variance - b * sigma, b, rng.uniform(-0.6, 0.6), rng.uniform(-0.2, 0.2), sigma)
    return Slice(expiry, int(index * rng.uniform(0.95, 1.05)), *(int(part * NANO) for part in shape))


def make_market(rng: random.Random, underlying: int, slices: int = 3, is_wild: bool = False, age_s: int = 0, expired: int = 0) -> Market:
    """Marked `age_s` seconds ago; the first `expired` slices were over by then."""
    time = NOW - age_s
    days = sorted(rng.sample(range(1, 400), slices - expired))
    over = sorted(rng.sample(range(400), expired), reverse=True)
    expiries = [time - day * DAY_S for day in over] + [time + day * DAY_S for day in days]
    return Market(INDEX[underlying], time, tuple(make_slice(rng, INDEX[underlying], expiry, is_wild) for expiry in expiries))


def make_series(rng: random.Random, underlying: int, item: Slice) -> int:
    """A strike that a row can carry, mostly near the money, sometimes at the end of the range."""
    ratio = rng.choice((rng.uniform(0.6, 1.6), rng.uniform(0.1, 10)))
    strike = min(max(int(item.forward * ratio) // 10_000 * 10_000, 10_000), ((1 << 43) - 1) // 10_000 * 10_000)
    return encode_series(underlying, item.expiry, strike, rng.randrange(2))


def make_positions(
    rng: random.Random, markets: tuple[Market, Market], count: int, most: int = 200, shorts: float = 0.5
) -> tuple[Position, ...]:
    """At most `most` lots each, in the slices that the markets carry; `shorts` is the share of short positions."""
    listed = [(underlying, item) for underlying, market in enumerate(markets) for item in market.slices]
    found: dict[int, int] = {}
    while len(found) < count:
        lots = rng.randint(1, most)
        found[make_series(rng, *rng.choice(listed))] = -lots if rng.random() < shorts else lots
    return tuple(sorted(found.items()))


def make_globals(accounts: int) -> Globals:
    """In mid-life; the fund and the fees are only there to be kept."""
    return Globals(clock=NOW + 5, allowance=1_000, accounts=accounts, marks=7, fund=11, fees=13, balance=1 << 62)


def make_worst_markets(rng: random.Random) -> tuple[Market, Market]:
    """All slices in use, and volatility so high that no scenario is cut short."""
    markets = []
    for underlying in range(2):
        market = make_market(rng, underlying, MAX_SLICES)
        shape = (NANO // 2, NANO // 3, -NANO // 3, NANO // 7, NANO // 5)
        markets.append(market._replace(slices=tuple(Slice(s.expiry, s.forward, *shape) for s in market.slices)))
    return markets[0], markets[1]


def make_worst_positions(markets: tuple[Market, Market], count: int) -> tuple[Position, ...]:
    """Spread evenly over every slice of both markets, so that each is loaded; sizes at the bound of the account."""
    found: dict[int, int] = {}
    for number in range(count):
        underlying = number & 1
        items = markets[underlying].slices
        item = items[(number >> 1) % len(items)]
        strike = item.forward * (60 + 7 * (number >> 5) + number % 3) // 1_000_000 * 10_000
        lots = min(MAX_LOTS, MAX_ACCOUNT_LOTS // max(count, 1)) - 1
        found[encode_series(underlying, item.expiry, strike, number >> 4 & 1)] = lots if number % 3 == 2 else -lots
    assert len(found) == count, "two positions of one series"
    return tuple(sorted(found.items()))


def make_trade(series: int, maker_lots: int, price: int, fee: int, maker: int = 0, taker: int = 1) -> Trade:
    """Between slots 1 and 2, which the margin step does not look at."""
    return Trade(maker, 1, taker, 2, pack_plain(series), maker_lots, price, fee)
