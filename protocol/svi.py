"""Raw SVI: the total variance of a slice at a strike, and its root v = sigma sqrt(T), in Q38.

    w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)),   k = ln(strike / forward)

Total for every integer: parameters are clamped at entry to the bounds that MARK enforces, w to [0, 64). Source: Gatheral,
A parsimonious arbitrage-free implied volatility parameterization (2004).
"""

from typing import NamedTuple

from protocol.fixed_point import ONE, Q, div_down, isqrt, mul
from protocol.pricing import MAX_PRICE, compute_ln_ratio
from protocol.types import MAX_FORWARD, Slice

NANO = 1_000_000_000
MAX_PARAMETER = 64 * NANO  # of |a|, b, |m|, sigma in 1e-9
MAX_VARIANCE = 64 * ONE - 1  # so that v <= MAX_V


class Surface(NamedTuple):
    """A slice as the kernel uses it: `forward` in 1e-6 USD, the rest in Q38."""

    forward: int
    a: int
    b: int
    rho: int
    m: int
    sigma: int


def compute_q38(parameter: int, bound: int) -> int:
    """A parameter in 1e-9 clamped to [-bound, bound], in Q38; its magnitude rounds down, so towards zero."""
    magnitude = div_down(min(abs(parameter), bound) << Q, NANO)
    return magnitude if parameter >= 0 else -magnitude


def compute_surface(item: Slice) -> Surface:
    """Clamps and converts the parameters of a slice, once for all its strikes."""
    return Surface(
        min(max(item.forward, 1), MAX_FORWARD),
        compute_q38(item.a, MAX_PARAMETER),
        compute_q38(max(item.b, 0), MAX_PARAMETER),
        compute_q38(item.rho, NANO),
        compute_q38(item.m, MAX_PARAMETER),
        compute_q38(max(item.sigma, 0), MAX_PARAMETER),
    )


def compute_surface_v(surface: Surface, strike: int) -> int:
    """v in Q38, rounded down; `strike` is clamped to [1, MAX_PRICE]."""
    strike = min(max(strike, 1), MAX_PRICE)
    forward = surface.forward
    k = compute_ln_ratio(strike, forward) if strike >= forward else -compute_ln_ratio(forward, strike)
    d = k - surface.m
    root = isqrt(d * d + surface.sigma * surface.sigma)
    w = surface.a + mul(surface.b, mul(surface.rho, d) + root)
    return isqrt(min(max(w, 0), MAX_VARIANCE) << Q)


def compute_v(item: Slice, strike: int) -> int:
    """v = sigma sqrt(T) in Q38 of the slice at `strike` (1e-6 USD): 0 <= v <= MAX_V for any input."""
    return compute_surface_v(compute_surface(item), strike)
