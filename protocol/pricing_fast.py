"""`pricing` over arrays of int64, bit for bit; same names, plural.

A product of two Q38 numbers may have 80 bits and a numerator 81, so `mul` splits one factor at bit 19 and `div` divides twice;
`tests/pricing/test_bounds.py` shows that no intermediate passes 63 bits within the kernel's bounds. numpy wraps silently: callers
stay within those bounds.
"""

from typing import NamedTuple

import numpy as np

from protocol.doubles import Ints, compute_exponents
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
    compute_sqrt_years,
)

HALF = Q >> 1
LOW = (1 << HALF) - 1
LN_RATIO_LIMIT_V = 12


class GreekArrays(NamedTuple):
    """As `pricing.Greeks`, one array a field."""

    call: Ints
    put: Ints
    delta: Ints
    gamma_f: Ints
    vega: Ints
    theta: Ints


def mul(a: Ints, b: Ints) -> Ints:
    """floor(a b / 2**38); |a b| < 2**82 and a (b >> 19) within int64."""
    low = b & LOW
    low *= a
    low >>= HALF
    high = b >> HALF
    high *= a
    high += low
    high >>= HALF
    return high


def div(a: Ints, b: Ints) -> Ints:
    """floor(a 2**38 / b) by long division in two steps of 19 bits; 0 <= a < 2**43, 0 < b < 2**44."""
    shifted = a << HALF
    quotient = div_down(shifted, b)
    shifted -= quotient * b
    shifted <<= HALF
    quotient <<= HALF
    quotient += div_down(shifted, b)
    return quotient


def compute_polynomials(coefficients: tuple[int, ...], x: Ints) -> Ints:
    """`compute_polynomial`, in place on two buffers."""
    high, low = x >> HALF, x & LOW
    value = np.full_like(x, coefficients[-1])
    part = np.empty_like(x)
    for coefficient in coefficients[-2::-1]:
        np.multiply(value, low, out=part)
        part >>= HALF
        value *= high
        value += part
        value >>= HALF
        value += coefficient
    return value


def compute_ln_ratios(hi: Ints, lo: Ints) -> Ints:
    """`compute_ln_ratio`."""
    ratio = div(np.minimum(hi, lo << MAX_RATIO_BITS), lo)
    exponent = compute_exponents(ratio) - Q
    mantissa = ratio >> exponent
    t = div(mantissa - ONE, mantissa + ONE)
    return mul(compute_polynomials(ATANH, mul(t, t)), t) + exponent * LN2


def compute_exp_negatives(y: Ints) -> Ints:
    """`compute_exp_negative`; shifts of 63 and more are the same zero."""
    w = mul(y, np.full_like(y, LOG2E))
    value = compute_polynomials(EXP2, w & (ONE - 1))
    value >>= np.minimum(w >> Q, 63)
    return value


def compute_millses(x: Ints) -> Ints:
    """`compute_mills`."""
    return compute_polynomials(MILLS, div(np.full_like(x, 8 << Q), x + (4 << Q)) - ONE)


def compute_normals(x: Ints, v: Ints) -> tuple[Ints, Ints, Ints]:
    """`compute_normals`; rows without time value are computed as x = 0, v = 1.0 and zeroed."""
    is_live = (v > 0) & (x < LN_RATIO_LIMIT_V * v)
    v = np.where(is_live, v, ONE)
    z = div(np.where(is_live, x, 0), v)
    half = v >> 1
    d1 = half - z
    is_live &= d1 >= CUTOFF
    np.maximum(d1, CUTOFF, out=d1)
    e = compute_exp_negatives(mul(d1, d1) >> 1)
    n1 = mul(e, compute_millses(np.abs(d1)))
    n1 = np.where(d1 >= 0, ONE - n1, n1)
    n2 = mul(e, compute_millses(z + half))
    return n1 * is_live, n2 * is_live, e * is_live


def compute_time_values(lo: Ints, x: Ints, v: Ints) -> Ints:
    """Of the out-of-the-money option, for x = ln(hi / lo)."""
    n1, n2, _ = compute_normals(x, v)
    n1 -= n2
    np.maximum(n1, 0, out=n1)
    return mul(lo, n1)


def compute_prices(forward: Ints, strike: Ints, v: Ints) -> tuple[Ints, Ints]:
    """Calls and puts in 1e-6 USD a unit; bounds as in `compute_price`."""
    lo, hi = np.minimum(forward, strike), np.maximum(forward, strike)
    time_value = compute_time_values(lo, compute_ln_ratios(hi, lo), v)
    return np.maximum(forward - strike, 0) + time_value, np.maximum(strike - forward, 0) + time_value


def compute_greeks(forward: Ints, strike: Ints, v: Ints, seconds: Ints) -> GreekArrays:
    """`compute_greeks`, whose units and clamps hold; the root of the time is taken once for every different time."""
    lo, hi = np.minimum(forward, strike), np.maximum(forward, strike)
    n1, n2, e = compute_normals(compute_ln_ratios(hi, lo), v)
    time_value = mul(lo, np.maximum(n1 - n2, 0))
    delta = np.where(forward < strike, n1, ONE - div(mul(lo, n2), hi))
    delta = np.where((forward == strike) & (v == 0), ONE >> 1, delta)
    density = mul(lo, mul(e, np.full_like(e, INV_SQRT_2PI)))
    times, inverse = np.unique(seconds, return_inverse=True)
    roots = np.array([compute_sqrt_years(int(time)) for time in times], dtype=np.int64)[inverse]
    decay = mul(density, v) * DAY_HALF_S
    return GreekArrays(
        np.maximum(forward - strike, 0) + time_value,
        np.maximum(strike - forward, 0) + time_value,
        delta,
        div(div(density, forward), np.maximum(v, MIN_GAMMA_V)),
        mul(density, roots),
        -np.where(seconds > 0, div_down(decay, np.maximum(seconds, 1)), 0),
    )
