"""Audit: no int64 intermediate of `pricing_fast` or of the Greeks passes 63 bits, by hostile sampling.

The kernel is run again in Python ints with every partial product recorded. The largest sit at exactly 63 bits: whoever raises Q, the
split or a bound must see this test fail.
"""

import math
import random

from protocol import pricing
from protocol.fixed_point import ONE, Q
from protocol.pricing import ATANH, CUTOFF, EXP2, INV_SQRT_2PI, LN2, LOG2E, MAX_PRICE, MAX_V, MILLS, compute_greeks

HALF = Q >> 1
LOW = (1 << HALF) - 1
SAMPLES = 6_000


class Audit:
    """Widest magnitude seen, in bits, by operation."""

    def __init__(self) -> None:
        self.bits: dict[str, int] = {}

    def record(self, name: str, *values: int) -> None:
        self.bits[name] = max(self.bits.get(name, 0), *(abs(value).bit_length() for value in values))

    def mul(self, name: str, a: int, b: int) -> int:
        low, high = a * (b & LOW), a * (b >> HALF)
        self.record(name, a, b, low, high, high + (low >> HALF))
        return high + (low >> HALF) >> HALF

    def div(self, name: str, a: int, b: int) -> int:
        assert b > 0, name
        first, rest = divmod(a << HALF, b)
        self.record(name, a << HALF, first << HALF, rest << HALF)
        return (first << HALF) + (rest << HALF) // b

    def polynomial(self, name: str, coefficients: tuple[int, ...], x: int) -> int:
        value = coefficients[-1]
        for coefficient in coefficients[-2::-1]:
            value = self.mul(name, value, x) + coefficient
        return value

    def normals(self, lo: int, hi: int, v: int) -> tuple[int, int, int]:
        self.record("clamp", lo << 10)
        ratio = self.div("ratio", min(hi, lo << 10), lo)
        exponent = ratio.bit_length() - Q - 1
        mantissa = ratio >> exponent
        t = self.div("atanh argument", mantissa - ONE, mantissa + ONE)
        x = self.mul("ln", self.polynomial("atanh", ATANH, self.mul("t squared", t, t)), t) + exponent * LN2
        self.record("12 v", 12 * v)
        if v == 0 or x >= 12 * v:
            return 0, 0, 0
        z, half = self.div("z", x, v), v >> 1
        d1 = half - z
        if d1 < CUTOFF:
            return 0, 0, 0
        w = self.mul("log2 e", self.mul("d1 squared", d1, d1) >> 1, LOG2E)
        e = self.polynomial("exp", EXP2, w & (ONE - 1)) >> (w >> Q)
        n1 = self.mul("e mills", e, self.mills(abs(d1)))
        n1 = ONE - n1 if d1 >= 0 else n1
        return n1, self.mul("e mills", e, self.mills(z + half)), e

    def mills(self, x: int) -> int:
        return self.polynomial("mills", MILLS, self.div("u", 8 << Q, x + (4 << Q)) - ONE)

    def greeks(self, forward: int, strike: int, v: int, seconds: int) -> None:
        """Runs all, and checks that the audit is of the kernel that is used."""
        lo, hi = min(forward, strike), max(forward, strike)
        n1, n2, e = self.normals(lo, hi, v)
        time_value = self.mul("price", lo, max(n1 - n2, 0))
        self.record("price", hi - lo + time_value)
        self.div("delta", self.mul("lo n2", lo, n2), hi)
        density = self.mul("density", lo, self.mul("e phi", e, INV_SQRT_2PI))
        gamma = self.div("gamma", self.div("density / forward", density, forward), max(v, pricing.MIN_GAMMA_V))
        vega = self.mul("vega", density, pricing.compute_sqrt_years(seconds))
        decay = self.mul("decay", density, v) * pricing.DAY_HALF_S
        self.record("decay", decay)
        greeks = compute_greeks(forward, strike, v, seconds)
        assert (time_value, gamma, vega) == (greeks.call - max(forward - strike, 0), greeks.gamma_f, greeks.vega)


def test_no_intermediate_passes_63_bits(seed: int) -> None:
    audit, rng = Audit(), random.Random(seed)
    for forward in (1, 2, 3, 1 << 33, 1 << 42, (1 << 42) + 1, MAX_PRICE - 1, MAX_PRICE):
        for strike in (1, 2, 1 << 33, 1 << 42, MAX_PRICE - 1, MAX_PRICE):
            for v in (0, 1, 2, 3, 1 << 10, 1 << 20, 1 << 34, ONE - 1, ONE, 4 * ONE, MAX_V - 1, MAX_V):
                audit.greeks(forward, strike, v, 1 << 40)
    for _ in range(SAMPLES):
        strike = rng.choice([rng.randrange(1, MAX_PRICE + 1), MAX_PRICE, 1 << rng.randrange(43)])
        spread = math.exp(rng.choice([0, 1e-9, 0.01, 0.5, 3]) * rng.gauss(0, 1))
        forward = min(MAX_PRICE, max(1, int(strike * spread)))
        v = min(rng.choice([rng.randrange(MAX_V), MAX_V, int(2 ** rng.uniform(0, 41))]), MAX_V)
        audit.greeks(forward, strike, v, rng.randrange(1 << 40))
    assert max(audit.bits.values()) == 63, audit.bits


def test_the_largest_density_times_v_is_sampled() -> None:
    """Theta's product peaks where v**2 / 2 = ln(hi / lo) at the moneyness clamp: v = 3.7, or a little above it."""
    audit = Audit()
    for percent in range(300, 800, 2):
        audit.greeks(MAX_PRICE, MAX_PRICE >> 10, percent * ONE // 100, 1 << 40)
        audit.greeks(MAX_PRICE >> 1, MAX_PRICE, percent * ONE // 100, 1 << 40)
        audit.greeks(MAX_PRICE, MAX_PRICE, percent * ONE // 100, 1 << 40)
    assert audit.bits["decay"] <= 63
    assert audit.bits["vega"] <= 63


def test_the_audit_sees_a_planted_overflow() -> None:
    audit = Audit()
    audit.mul("planted", 1 << 45, 1 << 38)
    assert audit.bits["planted"] > 63
