"""Signatures that the sequencer's worker processes verify in a second: two workers, over their pipes, as the daemon feeds them."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from protocol.keccak import keccak
from sequencer.verify import BATCH, COUNT_BYTES, SIGNER_BYTES
from sim.scribe import make_key, sign

WORKERS = 2
PAIRS = 6_000
SMALL_BATCH = 1  # a flow so thin that every signature travels alone


def make_pairs(bad_percent: int, seed: int = 1) -> list[bytes]:
    """Digests with their signatures; the bad ones are random bytes, high in `s`, or by nobody."""
    rng = random.Random(seed)
    key = make_key(0)
    pairs = []
    for i in range(PAIRS // 4):
        digest = keccak(i.to_bytes(4, "big"))
        signature = rng.randbytes(64) + b"\x1b" if rng.randrange(100) < bad_percent else sign(key, digest)
        pairs.append(digest + signature)
    return pairs * 4


def _feed(worker: "subprocess.Popen[bytes]", pairs: list[bytes], size: int) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    for start in range(0, len(pairs), size):
        batch = pairs[start : start + size]
        worker.stdin.write(len(batch).to_bytes(COUNT_BYTES, "big") + b"".join(batch))
        worker.stdin.flush()
        worker.stdout.read(len(batch) * SIGNER_BYTES)


def measure_rate(pairs: list[bytes], size: int) -> float:
    """Signatures a second over all workers, start-up apart."""
    command = [sys.executable, "-m", "sequencer.verify"]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(WORKERS)]
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda worker: _feed(worker, pairs[:BATCH], BATCH), workers))
            start = perf_counter()
            list(pool.map(lambda item: _feed(item[1], pairs[item[0] :: WORKERS], size), enumerate(workers)))
            return len(pairs) / (perf_counter() - start)
    finally:
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.close()
            worker.wait()


def measure_verification() -> dict[str, float]:
    """A mixed flow in full batches; and the worst: nothing but good signatures, each alone."""
    return {
        "signatures_per_second_mixed": measure_rate(make_pairs(bad_percent=20), BATCH),
        "signatures_per_second_worst": measure_rate(make_pairs(bad_percent=0), SMALL_BATCH),
    }
