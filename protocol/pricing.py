"""Black-76 in Q38: the reference that `pricing_fast` and `contracts/lib/pricing.vy` equal bit for bit.

Only the time value of the out-of-the-money option is computed. It is symmetric in forward and strike: with lo, hi the
smaller and the larger, x = ln(hi / lo) and v = sigma sqrt(T),

    d1 = -x / v + v / 2,   d2 = d1 - v,   time value = lo N(d1) - hi N(d2) = lo (n1 - n2),   n2 = (hi / lo) N(d2).

Since hi / lo exp(-d2**2 / 2) = exp(-d1**2 / 2), one exponential E serves both: N(-|d|) = E(d) G(|d|), where G is the
Mills ratio over sqrt(2 pi), a polynomial in 8 / (|d| + 4) - 1. So call = max(F - K, 0) + time value and
put = max(K - F, 0) + time value: put-call parity is exact, and no option is worth less than its intrinsic value.

Source: Black, The pricing of commodity contracts (1976). The polynomials interpolate at Chebyshev nodes; `tests/pricing/coefficients.py`
derives them again.
"""

from typing import NamedTuple

from protocol.fixed_point import ONE, Q, div, div_down, isqrt, mul
from protocol.params import YEAR_S

MAX_PRICE = (1 << 43) - 1  # of forward and strike, in 1e-6 USD; a forward of at most 2**42 may be shocked by 60 %
MAX_V = (8 << Q) - 1  # of sigma sqrt(T)
MAX_RATIO_BITS = 10  # moneyness is clamped at 1024
CUTOFF = -(29 << (Q - 2))  # d1 = -7.25: the time value is below 1e-13 of the forward
MAX_SECONDS = 16 * YEAR_S  # of the Greeks' time to expiry
MIN_GAMMA_V = 1 << 20  # gamma is capped as if v were 2**-18, a second at 2 % volatility
DAY_HALF_S = 43_200

EXP2 = (274877906944, -190530846171, 66032958747, -15256846218, 2643774953, -366404209, 42158133, -4006347, 257639)
ATANH = (549755813889, 183251936784, 109951331611, 78527521113, 61311867299, 47066070407, 60089872628)
MILLS = (
    *(25951399474, 46838569049, 34189109386, 19710781935, 8484052451, 2334291508, 139520001, -175613877),
    *(-51456206, 12599395, 7839385, -1427979, -1030424, 322889, -3515),
)
LN2 = 190530846196
LOG2E = 396564993198
INV_SQRT_2PI = 109660419028


class Greeks(NamedTuple):
    """`call`, `put` in 1e-6 USD a unit. Gamma, vega and theta are those of call and put alike; the put's delta is `delta - ONE`."""

    call: int
    put: int
    delta: int  # of the call, Q38
    gamma_f: int  # forward x gamma, Q38
    vega: int  # 1e-6 USD for 1.0 (100 points) of volatility
    theta: int  # 1e-6 USD a day, not positive


def compute_polynomial(coefficients: tuple[int, ...], x: int) -> int:
    """By Horner's rule, constant term first in `coefficients`; every product rounds down."""
    value = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = (value * x >> Q) + coefficient
    return value


def compute_ln_ratio(hi: int, lo: int) -> int:
    """ln(hi / lo) in Q38 for 0 < lo <= hi, clamped at ln 1024: 2 atanh((m - 1) / (m + 1)) of the mantissa, plus e ln 2."""
    ratio = div(min(hi, lo << MAX_RATIO_BITS), lo)
    exponent = ratio.bit_length() - Q - 1
    mantissa = ratio >> exponent
    t = div(mantissa - ONE, mantissa + ONE)
    return mul(compute_polynomial(ATANH, mul(t, t)), t) + exponent * LN2


def compute_exp_negative(y: int) -> int:
    """exp(-y) in Q38, y >= 0: 2**-(whole + fraction), a polynomial shifted right."""
    w = mul(y, LOG2E)
    return compute_polynomial(EXP2, w & (ONE - 1)) >> (w >> Q)


def compute_mills(x: int) -> int:
    """(1 - N(x)) / exp(-x**2 / 2) in Q38, x >= 0."""
    return compute_polynomial(MILLS, div(8 << Q, x + (4 << Q)) - ONE)


def compute_normals(x: int, v: int) -> tuple[int, int, int]:
    """N(d1), (hi / lo) N(d2) and exp(-d1**2 / 2) in Q38 for x = ln(hi / lo); zeros where the time value vanishes."""
    if v == 0 or x >= 12 * v:
        return 0, 0, 0
    z = div(x, v)
    half = v >> 1
    d1 = half - z
    if d1 < CUTOFF:
        return 0, 0, 0
    e = compute_exp_negative(mul(d1, d1) >> 1)
    n1 = mul(e, compute_mills(abs(d1)))
    if d1 >= 0:
        n1 = ONE - n1
    return n1, mul(e, compute_mills(z + half)), e


def compute_price(forward: int, strike: int, v: int) -> tuple[int, int]:
    """Call and put in 1e-6 USD a unit, rounded down; 0 < forward, strike <= MAX_PRICE and 0 <= v <= MAX_V."""
    lo, hi = min(forward, strike), max(forward, strike)
    n1, n2, _ = compute_normals(compute_ln_ratio(hi, lo), v)
    time_value = mul(lo, max(n1 - n2, 0))
    return max(forward - strike, 0) + time_value, max(strike - forward, 0) + time_value


def compute_sqrt_years(seconds: int) -> int:
    """sqrt of a time in years, Q38, rounded down; 0 <= seconds, clamped at MAX_SECONDS."""
    return isqrt(div_down(min(seconds, MAX_SECONDS) << 2 * Q, YEAR_S))


def compute_greeks(forward: int, strike: int, v: int, seconds: int) -> Greeks:
    """Black-76 sensitivities for total standard deviation `v` (Q38) over `seconds` to expiry, where sigma = v / sqrt(T).

    Bounds as in `compute_price`. Vega and theta hold v(sigma, T) = sigma sqrt(T): with phi the normal density at d1,
    vega = F phi sqrt(T), theta = -F phi v / 2T. Without time or volatility all but delta are 0.
    """
    lo, hi = min(forward, strike), max(forward, strike)
    n1, n2, e = compute_normals(compute_ln_ratio(hi, lo), v)
    time_value = mul(lo, max(n1 - n2, 0))
    if forward < strike:
        delta = n1
    elif forward == strike and v == 0:
        delta = ONE >> 1
    else:
        delta = ONE - div(mul(lo, n2), hi)
    density = mul(lo, mul(e, INV_SQRT_2PI))  # F phi(d1) = K phi(d2): the symmetry again
    gamma_f = div(div(density, forward), max(v, MIN_GAMMA_V))
    vega = mul(density, compute_sqrt_years(seconds))
    theta = -div_down(mul(density, v) * DAY_HALF_S, seconds) if seconds > 0 else 0
    return Greeks(max(forward - strike, 0) + time_value, max(strike - forward, 0) + time_value, delta, gamma_f, vega, theta)
