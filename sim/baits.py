"""A small epoch in which a lie matters: real trading, and the lie's bait among it."""

from protocol.codec.frames import Batch
from protocol.margin import compute_mark
from protocol.operations import build_deposit
from protocol.params import Params
from protocol.series import encode_series
from protocol.types import Market, Slice
from sim.scribe import Scribe, get_address, make_key
from sim.villains.lies import Bait, Lie

START = 1_790_000_000
USD = 1_000_000
FORWARD = 90_000 * USD
EXPIRY = START + 14 * 86_400


def make_market(time: int, forward: int = FORWARD) -> Market:
    """One expiry two weeks out, at about 60 % volatility with a skew."""
    slices = (Slice(EXPIRY, forward, 4_000_000, 12_000_000, -300_000_000, 0, 150_000_000),)
    return Market(forward, time, slices)


def make_epoch(params: Params, bait: Bait = Bait.NOTHING, domain: bytes | None = None) -> tuple[Scribe, list[Batch]]:
    """Two batches. Traders 0 and 1 trade; 2 is poor; the bait is in the second batch. `domain` is the deployment's, if there is one."""
    scribe = Scribe(params, START, domain=domain)
    call = encode_series(0, EXPIRY, 95_000 * USD, 1)
    market = make_market(START)
    price = (compute_mark(call, market) or 0) // 100
    for trader, amount in ((0, 100_000), (1, 200_000), (2, 1_500), (3, 5_000)):
        scribe.deposit(trader, amount * USD)
    scribe.mark(0, market)
    sold = scribe.order(0, call, 0, price, 100)
    bought = scribe.order(1, call, 1, price, 100)
    scribe.trade(0, sold, 1, bought, 60)
    small_bid = scribe.order(3, call, 1, price, 20)
    small_offer = scribe.order(2, call, 0, price, 5)
    scribe.trade(3, small_bid, 2, small_offer, 2)
    first = scribe.close_batch()
    scribe.clock += 10
    later = make_market(scribe.clock, FORWARD + (70_000 if bait == Bait.WEAK else 5_000) * USD)
    match bait:
        case Bait.ORDER:
            scribe.order(1, call, 0, price, 50, signer=scribe.keys[0])
        case Bait.OVERFILL:
            scribe.trade(0, sold, 1, bought, 41)
        case Bait.MARGIN:
            scribe.trade(3, small_bid, 2, scribe.order(2, call, 0, price, 10_000), 10)
        case Bait.WITHDRAW:
            scribe.withdraw(1, 900_000 * USD)
        case Bait.MARK:
            forged = make_market(scribe.clock, FORWARD - 20_000 * USD)
            scribe.mark(0, forged, [make_key(7), make_key(8), make_key(9)][: params.quorum])
        case Bait.DEPOSIT:
            scribe.add(build_deposit(0, get_address(scribe.keys[0]), 77_000 * USD))
        case Bait.WEAK | Bait.NOTHING:
            pass
    scribe.mark(0, later)
    scribe.withdraw(1, 1_000 * USD)
    return scribe, [first, scribe.close_batch()]


def make_lying_epoch(lie: Lie, params: Params, domain: bytes | None = None) -> tuple[Scribe, list[Batch]]:
    """An epoch in which the lie matters."""
    return make_epoch(params, lie.bait, domain) if lie.epoch is None else lie.epoch(params, domain)
