"""`pricing` over arrays of int64, bit for bit; same names, plural.

A product of two Q38 numbers may have 80 bits and a numerator 81, so `mul` splits one factor at bit 19 and `div` estimates in doubles;
`tests/pricing/test_bounds.py` shows that no intermediate passes 63 bits within the kernel's bounds. numpy wraps silently: callers
stay within those bounds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol import doubles
from protocol.doubles import Ints, compute_exponents
from protocol.doubles import compute_quotients as div
from protocol.fixed_point import ONE, Q, div_down
from protocol.pricing import (
    ATANH,
    CUTOFF,
    DAY_HALF_S,
    EXP2,
    INV_SQRT_2PI,
    LN2,
    LOG2E,
    MAX_RATIO_BITS,
    MILLS,
    MIN_GAMMA_V,
    compute_polynomial,
    compute_sqrt_years,
)

HALF = Q >> 1
LOW = (1 << HALF) - 1
EIGHT = np.array([8 << Q])
BLOCK = 8_192  # rows priced at a time: their arrays stay in the second-level cache, and below the size that is mapped anew each time

Bools = NDArray[np.bool_]


class GreekArrays(NamedTuple):
    """As `pricing.Greeks`, one array a field."""

    call: Ints
    put: Ints
    delta: Ints
    gamma_f: Ints
    vega: Ints
    theta: Ints


class Points(NamedTuple):
    """What the prices and the Greeks of options are made of, one array a field; the last three are those of `pricing.compute_normals`."""

    forward: Ints
    strike: Ints
    v: Ints
    n1: Ints
    n2: Ints
    e: Ints


class Normals(NamedTuple):
    """`pricing.compute_normals` of the rows that have time value, ascending; of all others it is zeros."""

    live: NDArray[np.intp]
    n1: Ints
    n2: Ints
    e: Ints


def mul(a: Ints, b: Ints | int) -> Ints:
    """floor(a b / 2**38); |a b| < 2**82 and a (b >> 19) within int64."""
    low = a * (b & LOW)
    low >>= HALF
    high = a * (b >> HALF)
    high += low
    high >>= HALF
    return high


def div_wide(a: Ints, b: Ints) -> Ints:
    """`div` by long division in two steps of 19 bits, for quotients from 2**53 up; 0 <= a < 2**43, 0 < b < 2**44."""
    shifted = a << HALF
    quotient = div_down(shifted, b)
    shifted -= quotient * b
    shifted <<= HALF
    quotient <<= HALF
    quotient += div_down(shifted, b)
    return quotient


def compute_polynomials(coefficients: tuple[int, ...], x: Ints) -> Ints:
    """`compute_polynomial` for |x| <= 1.0; the reference decides where doubles leave a doubt, which is a row in thousands."""
    values, doubtful = doubles.compute_polynomials(coefficients, x)
    for i in doubtful.tolist():
        values.flat[i] = compute_polynomial(coefficients, int(x.flat[i]))
    return values


def compute_ln_ratios(hi: Ints, lo: Ints) -> Ints:
    """`compute_ln_ratio`."""
    ratio = div(np.minimum(hi, lo << MAX_RATIO_BITS), lo)
    exponent = compute_exponents(ratio) - Q
    mantissa = ratio >> exponent
    t = div(mantissa - ONE, mantissa + ONE)
    exponent *= LN2
    exponent += mul(compute_polynomials(ATANH, mul(t, t)), t)
    return exponent


def compute_exp_negatives(y: Ints) -> Ints:
    """`compute_exp_negative`; shifts of 63 and more are the same zero."""
    w = mul(y, LOG2E)
    value = compute_polynomials(EXP2, w & (ONE - 1))
    w >>= Q
    value >>= np.minimum(w, 63, out=w)
    return value


def compute_millses(x: Ints) -> Ints:
    """`compute_mills`."""
    u = div(EIGHT, x + (4 << Q))
    u -= ONE
    return compute_polynomials(MILLS, u)


def compute_limits(v: Ints) -> Ints:
    """`compute_normals` is not all zeros where x is below: d1 >= CUTOFF means x < (v / 2 - CUTOFF) v, and so v > 0 and x < 12 v.

    x is at most ln 1024, which every v from 1.0 on lets pass; so 1.0 stands for a larger one, and the product stays inside int64.
    """
    v = np.minimum(v, ONE)
    return -mul(CUTOFF - 1 - (v >> 1), v)


def compute_normals(x: Ints, v: Ints, limits: Ints) -> Normals:
    """`pricing.compute_normals` of flat arrays, by blocks; `limits` are those of v."""
    live = np.flatnonzero(x < limits)
    n1, n2, e = (np.empty(len(live), dtype=np.int64) for _ in range(3))
    for start in range(0, len(live), BLOCK):
        part = slice(start, start + BLOCK)
        n1[part], n2[part], e[part] = _compute_normals(x.take(live[part]), v.take(live[part]))
    return Normals(live, n1, n2, e)


def _compute_normals(x: Ints, v: Ints) -> tuple[Ints, Ints, Ints]:
    z = div(x, v)
    half = v >> 1
    d1 = half - z
    e = compute_exp_negatives(mul(d1, d1) >> 1)
    tails = mul(compute_millses(np.concatenate([np.abs(d1), z + half])).reshape(2, -1), e)
    return np.where(d1 >= 0, ONE - tails[0], tails[0]), tails[1], e


def compute_time_values(lo: Ints, normals: Normals) -> Ints:
    """Of out-of-the-money options."""
    values = np.zeros_like(lo)
    difference = normals.n1 - normals.n2
    values[normals.live] = mul(lo.take(normals.live), np.maximum(difference, 0, out=difference))
    return values


def compute_points(forward: Ints, strike: Ints, v: Ints) -> Points:
    """Bounds as in `compute_price`."""
    x = compute_ln_ratios(np.maximum(forward, strike), np.minimum(forward, strike))
    return make_points(forward, strike, v, compute_normals(x, v, compute_limits(v)))


def make_points(forward: Ints, strike: Ints, v: Ints, normals: Normals) -> Points:
    """From the normals of these and perhaps of more rows after them."""
    count = np.searchsorted(normals.live, len(v))
    live = normals.live[:count]
    filled = np.zeros((3, len(v)), dtype=np.int64)
    for row, values in zip(filled, normals[1:], strict=True):
        row[live] = values[:count]
    return Points(forward, strike, v, *filled)


def compute_prices(points: Points) -> tuple[Ints, Ints]:
    """Calls and puts in 1e-6 USD a unit."""
    forward, strike, _, n1, n2, _ = points
    time_value = mul(np.minimum(forward, strike), np.maximum(n1 - n2, 0))
    return np.maximum(forward - strike, 0) + time_value, np.maximum(strike - forward, 0) + time_value


def compute_greeks(points: Points, times: Ints, which: NDArray[np.intp]) -> GreekArrays:
    """`compute_greeks`, whose units and clamps hold; each point has the time to expiry `times[which]` in seconds."""
    forward, strike, v, n1, n2, e = points
    lo, hi = np.minimum(forward, strike), np.maximum(forward, strike)
    delta = np.where(forward < strike, n1, ONE - div(mul(lo, n2), hi))
    delta = np.where((forward == strike) & (v == 0), ONE >> 1, delta)
    density = mul(lo, mul(e, INV_SQRT_2PI))
    roots = np.array([compute_sqrt_years(time) for time in times.tolist()], dtype=np.int64)[which]
    seconds = times[which]
    decay = mul(density, v) * DAY_HALF_S
    return GreekArrays(
        *compute_prices(points),
        delta,
        div_wide(div(density, forward), np.maximum(v, MIN_GAMMA_V)),
        mul(density, roots),
        -np.where(seconds > 0, div_down(decay, np.maximum(seconds, 1)), 0),
    )
