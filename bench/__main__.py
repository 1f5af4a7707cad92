"""`python -m bench`: every figure of the hot paths in one run, as ratios to R, so that no quiet machine is needed.

R is what one recovery of a signer costs with the library that everything here uses, by its public functions; it is timed again around each
measurement. What one process does is timed in its own processor time. Writes `.out/bench.json`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from coincurve import PublicKey
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from bench import kernels
from bench.sheets import measure_sheets
from bench.stream import Stream, make_stream, open_machine
from bench.tracing import measure_tracing
from bench.verify import measure_verification
from node.runtime import settle_collector
from protocol.codes import Code
from protocol.history import History
from protocol.keccak import keccak
from protocol.leap import Leap
from protocol.operations import Kind
from protocol.rules import Rules
from protocol.signing import get_signer
from protocol.state import State
from protocol.trace import Machine
from sequencer.events import Event, OrderReceived
from sequencer.machine import Machine as Sequencer
from sequencer.orders import digest_order
from sim.scribe import make_key, sign

RECOVERIES = 1_500
RUNS = 3


def measure_r() -> float:
    """Seconds of one recovery: the unit. As the library offers it, and to the address."""
    digest = bytes(range(32))
    raw = make_key(0).sign_recoverable(digest, hasher=None)
    start = process_time()
    for _ in range(RECOVERIES):
        keccak(PublicKey.from_signature_and_message(raw, digest, hasher=None).format(compressed=False)[1:])[12:]
    return (process_time() - start) / RECOVERIES


def run_signer() -> int:
    """The same by our own function, with its checks."""
    digest = bytes(range(32))
    signature = sign(make_key(0), digest)
    for _ in range(RECOVERIES):
        get_signer(digest, signature)
    return RECOVERIES


def measure(work: Callable[[], int], runs: int = RUNS) -> tuple[float, float]:
    """Median seconds of one unit of `work`, which returns how many it did, and the same in R."""
    seconds, ratios = [], []
    for _ in range(runs):
        before = measure_r()
        start = process_time()
        units = work()
        took = (process_time() - start) / units
        seconds.append(took)
        ratios.append(took / ((before + measure_r()) / 2))
    return median(seconds), median(ratios)


def _open_leap(stream: Stream) -> Leap:
    leap = Leap(State(stream.rules.params), stream.rules)
    for batch in stream.opening:
        leap.apply_batch(batch)
    leap.state.get_root()
    return leap


def _open_machine(stream: Stream) -> Sequencer:
    machine = open_machine(stream.rules)
    for event in stream.setup:
        machine.apply(event)
    return machine


def _recover(event: Event, rules: Rules) -> Event:
    """What the daemon does before an order is an event."""
    if not isinstance(event, OrderReceived):
        return event
    return replace(event, signer=get_signer(digest_order(rules.domain, event), event.signature))


def run_trades(stream: Stream, opened: list[Sequencer]) -> Callable[[], int]:
    """What one core does for a trade as the sequencer: recover every signature, match, apply the rules, encode the journal and the frames,
    close batches and see them land. Orders that are pulled before they fill are in it, orders that never trade are not."""

    def work() -> int:
        machine = opened.pop()
        fills = machine.matcher.fills
        for event in stream.events:
            machine.apply(_recover(event, stream.rules))
        return machine.matcher.fills - fills

    return work


def run_reexecution(stream: Stream, opened: list[Leap]) -> Callable[[], int]:
    """What one core does for a trade as a watcher: inflate the frames, recover every signature, apply, hash the state at the end."""

    def work() -> int:
        leap = opened.pop()
        for batch in stream.batches:
            leap.apply_batch(batch)
        leap.state.get_root()
        return stream.trades

    return work


def run_trace(stream: Stream) -> Callable[[], int]:
    """One step traced and committed."""
    machine = Machine(_open_leap(stream).state, stream.batches, stream.rules)

    def work() -> int:
        return History(machine).steps

    return work


def count_bytes(stream: Stream) -> dict[str, float]:
    """Posted bytes a trade; what a batch's own framing adds is counted with the rows."""
    frames = [frame for batch in stream.batches for frame in batch.frames]
    rows = sum(len(frame.data) + 12 for frame in frames) / stream.trades
    signatures = sum(len(frame.signatures) for frame in frames) / stream.trades
    return {"bytes_per_trade": rows + signatures, "bytes_per_trade_without_signatures": rows}


def run(trades: int) -> dict[str, Any]:
    """All figures."""
    stream = make_stream(trades)
    leap = _open_leap(stream)
    outcomes = [outcome for batch in stream.batches for outcome in leap.apply_batch(batch)]
    assert all(outcome.code == Code.OK for outcome in outcomes)
    orders = sum(outcome.items[0] & 15 == Kind.ORDER for outcome in outcomes)
    r = measure_r()
    _, signer_r = measure(run_signer)
    machines = [_open_machine(stream) for _ in range(RUNS)]
    leaps = [_open_leap(stream) for _ in range(RUNS)]
    settle_collector()  # as the daemons do once they are up
    trade_s, trade_r = measure(run_trades(stream, machines))
    reexecute_s, reexecute_r = measure(run_reexecution(stream, leaps))
    step_s, step_r = measure(run_trace(stream), runs=1)
    scan_ms = kernels.scan_10000x20()
    reprice_ms = kernels.reprice_500()
    margin_ms = kernels.margin_64()
    greeks_ms = kernels.greeks_500()
    listed_ms = kernels.greeks_500(kernels.make_listing)
    book_margin_ms = kernels.margin_64_of_book()
    follow_ms = kernels.follow_account()
    return {
        "r_us": r * 1e6,
        "signer_r": signer_r,
        "trades": stream.trades,
        "orders_per_trade": orders / stream.trades,
        "trade_us": trade_s * 1e6,
        "trade_r": trade_r,
        "reexecution_us": reexecute_s * 1e6,
        "reexecution_r": reexecute_r,
        "step_us": step_s * 1e6,
        "step_r": step_r,
        "steps_per_second_and_core": 1 / step_s,
        "reprice_500_series_ms": reprice_ms,
        "reprice_500_series_r": reprice_ms / 1e3 / r,
        "scan_10000x20_ms": scan_ms,
        "scan_10000x20_r": scan_ms / 1e3 / r,
        "margin_64_positions_us": margin_ms * 1e3,
        **measure_tracing(stream),
        "margin_64_positions_r": margin_ms / 1e3 / r,
        "margin_64_positions_of_book_us": book_margin_ms * 1e3,
        "margin_64_positions_of_book_r": book_margin_ms / 1e3 / r,
        "reprice_500_series_with_greeks_ms": greeks_ms,
        "reprice_500_series_with_greeks_r": greeks_ms / 1e3 / r,
        "reprice_500_listed_series_with_greeks_ms": listed_ms,
        "reprice_500_listed_series_with_greeks_r": listed_ms / 1e3 / r,
        "follow_account_20_positions_us": follow_ms * 1e3,
        "follow_account_20_positions_r": follow_ms / 1e3 / r,
        **measure_verification(),
        **count_bytes(stream),
        **measure_sheets(),
    }


def main() -> None:
    """Prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--trades", type=int, default=3_000)
    parser.add_argument("--out", type=Path, default=Path(".out/bench.json"))
    arguments = parser.parse_args()
    figures = run(arguments.trades)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    table = Table(title="one run, ratios to R (one signer recovered)")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
