"""Every leap lands where the steps land: the same root, and the same code for every row."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.leap import Leap
from protocol.margin import compute_mark
from protocol.params import DEVNET, MINIMAL, Params
from protocol.series import encode_series
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Phase
from sim.baits import EXPIRY, FORWARD, START, USD, make_epoch, make_market
from sim.scribe import Scribe, make_key
from sim.villains.lies import Bait

ENDS = {Phase.DEPOSIT, Phase.ORDER, Phase.COMMIT, Phase.CANCEL, Phase.WITHDRAW, Phase.MARK}


def run_steps(scribe: Scribe, batches: list[Batch]) -> tuple[State, list[Code]]:
    """The state and the codes of all operations, step by step."""
    machine = Machine(State(scribe.rules.params), batches, scribe.rules)
    codes = []
    while not machine.is_halted:
        applied = machine.step()
        is_row = applied.phase == Phase.FETCH and applied.code == Code.MALFORMED and machine.header.phase == Phase.FETCH
        is_refused = applied.phase in (Phase.TERMS, Phase.MAKER, Phase.TAKER) and applied.code != Code.OK
        if is_row or is_refused or applied.phase in ENDS:
            codes.append(applied.code)
    return machine.state, codes


def run_leap(scribe: Scribe, batches: list[Batch]) -> tuple[State, list[Code]]:
    """The same by leaps."""
    state = State(scribe.rules.params)
    leap = Leap(state, scribe.rules)
    return state, [outcome.code for batch in batches for outcome in leap.apply_batch(batch)]


def make_random_epoch(params: Params, seed: int, rows: int) -> tuple[Scribe, list[Batch]]:
    """Traders of all sizes who trade, cancel, withdraw and err, through marks that jump."""
    rng = random.Random(seed)
    scribe = Scribe(params, START, traders=6)
    series = [encode_series(0, EXPIRY, strike * USD, kind) for strike in (80_000, 90_000, 100_000) for kind in (0, 1)]
    generations = [0] * 6
    for trader in range(6):
        scribe.deposit(trader, rng.choice((500, 2_000, 20_000, 200_000)) * USD)
    market = make_market(scribe.clock)
    scribe.mark(0, market)
    batches = []
    for _ in range(rows):
        maker, taker = rng.sample(range(6), 2)
        match rng.choice("ttttttmmcgwxofb"):
            case "t":
                item = rng.choice(series)
                price = max(1, (compute_mark(item, market) or 0) * rng.randint(97, 103) // 10_000)
                is_buy = rng.randint(0, 1)
                maker_slot = scribe.order(maker, item, is_buy, price, rng.choice((1, 5, 40, 400)), generations[maker])
                taker_slot = scribe.order(taker, item, 1 - is_buy, price, rng.choice((1, 5, 40, 400)), generations[taker])
                scribe.trade(maker, maker_slot, taker, taker_slot, rng.choice((1, 5, 40)))
            case "m":
                scribe.close_frame()
                scribe.clock += rng.choice((1, 5, 70))
                market = make_market(scribe.clock, FORWARD * rng.randint(80, 120) // 100)
                scribe.mark(0, market)
            case "c":
                scribe.cancel(maker)
                generations[maker] += 1
            case "g":
                slot = scribe.order(maker, series[0], 1, 1_000, 1, generations[maker])
                scribe.cancel(maker)
                generations[maker] += 1
                scribe.trade(maker, slot, taker, scribe.order(taker, series[0], 0, 1_000, 1, generations[taker]), 1)
            case "w":
                scribe.withdraw(maker, rng.choice((1, 100, 10**6)) * USD)
            case "x":
                scribe.add([rng.choice((0, 1, 3, 5, 6, 7, 99, 1 << 255)) for _ in range(rng.randint(1, 7))], bytes(rng.choice((0, 65))))
            case "o":
                scribe.order(maker, rng.choice(series), 1, 1_000, 1, signer=taker)
            case "f":
                scribe.mark(0, market, [make_key(5)] * params.quorum)
            case "b":
                batches.append(scribe.close_batch())
                scribe.deposit(maker, 1_000 * USD)
    return scribe, [*batches, scribe.close_batch()]


@pytest.mark.parametrize("bait", Bait)
def test_leap__small_epochs__same_root(bait: Bait) -> None:
    scribe, batches = make_epoch(DEVNET, bait)
    state, codes = run_steps(scribe, batches)
    leapt, leapt_codes = run_leap(scribe, batches)
    assert leapt.get_root() == state.get_root()
    assert leapt_codes == codes


@given(seed=st.integers(0, 1 << 32), params=st.sampled_from([MINIMAL, DEVNET]))
def test_leap__random_epochs__same_root(seed: int, params: Params) -> None:
    scribe, batches = make_random_epoch(params, seed, 25)
    state, codes = run_steps(scribe, batches)
    leapt, leapt_codes = run_leap(scribe, batches)
    assert leapt_codes == codes
    assert leapt.accounts == state.accounts
    assert leapt.globals == state.globals
    assert leapt.get_root() == state.get_root()


def test_random_epochs__reach_most_codes() -> None:
    """The generator is worth its name only if operations succeed and fail in many ways."""
    seen: set[Code] = set()
    flags = 0
    for seed in range(12):
        scribe, batches = make_random_epoch(DEVNET, seed, 60)
        state, codes = run_leap(scribe, batches)
        seen.update(codes)
        flags += sum(account.generation > 0 for account in state.accounts.values())
    wanted = {Code.OK, Code.MALFORMED, Code.SIGNATURE, Code.QUORUM, Code.OVERFILL, Code.MARGIN, Code.BAND, Code.GENERATION, Code.MARK_TIME}
    assert wanted <= seen, wanted - seen
    assert flags > 0
