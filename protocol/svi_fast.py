"""`svi` over arrays of int64, bit for bit.

Squares and shifted variances have 83 bits. Their roots are taken of a double's estimate, which is off by at most one, and corrected by a
remainder that is exact modulo 2**64. Slices whose parameters are larger than any market's go through the reference.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.fixed_point import ONE, Q
from protocol.pricing_fast import SCALE, Ints, compute_ln_ratios, mul
from protocol.svi import MAX_VARIANCE, Surface, compute_surface_v

MAX_FAST = 2 * ONE  # of |a|, b, |m|, sigma: so that no product passes int64


def compute_roots(estimate: NDArray[np.float64], wrapped: Ints) -> Ints:
    """floor(sqrt(n)) for n < 2**84, given as a double within two rounding errors and modulo 2**64."""
    root = np.sqrt(estimate).astype(np.int64)
    remainder = wrapped - root * root
    root += remainder > 2 * root
    root -= remainder < 0
    return root


def compute_surfaces_v(surfaces: Sequence[Surface], which: NDArray[np.intp], strike: Ints) -> Ints:
    """`compute_surface_v` of each strike on `surfaces[which]`; `strike` within [1, MAX_PRICE]."""
    forward, a, b, rho, m, sigma = np.array(surfaces, dtype=np.int64).reshape(-1, 6).T[:, which]
    k = compute_ln_ratios(np.maximum(strike, forward), np.minimum(strike, forward))
    d = np.where(strike >= forward, k, -k) - m
    real_d, real_sigma = d.astype(np.float64), sigma.astype(np.float64)
    root = compute_roots(real_d * real_d + real_sigma * real_sigma, d * d + sigma * sigma)
    w = np.clip(a + mul(mul(d, rho) + root, b), 0, MAX_VARIANCE)
    v = compute_roots(w * SCALE, w << Q)
    is_large = np.maximum.reduce([np.abs(a), b, np.abs(m), sigma]) > MAX_FAST
    for i in np.flatnonzero(is_large).tolist():
        v[i] = compute_surface_v(surfaces[which[i]], int(strike[i]))
    return v
