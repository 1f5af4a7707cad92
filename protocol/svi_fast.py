"""`svi` over arrays of int64, bit for bit.

Slices whose parameters are larger than any market's, so that a product would pass int64, go through the reference.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.doubles import Ints, compute_hypotenuses, compute_roots
from protocol.fixed_point import ONE
from protocol.pricing_fast import compute_ln_ratios, mul
from protocol.svi import MAX_VARIANCE, Surface, compute_surface_v

MAX_FAST = 2 * ONE  # of |a|, b, |m|, sigma


def compute_surfaces_v(surfaces: Sequence[Surface], which: NDArray[np.intp], strike: Ints) -> Ints:
    """`compute_surface_v` of each strike on `surfaces[which]`; `strike` within [1, MAX_PRICE]."""
    forward, a, b, rho, m, sigma = np.array(surfaces, dtype=np.int64).reshape(-1, 6).T[:, which]
    k = compute_ln_ratios(np.maximum(strike, forward), np.minimum(strike, forward))
    d = np.where(strike >= forward, k, -k) - m
    w = a + mul(mul(d, rho) + compute_hypotenuses(d, sigma), b)
    v = compute_roots(np.clip(w, 0, MAX_VARIANCE))
    is_large = np.maximum.reduce([np.abs(a), b, np.abs(m), sigma]) > MAX_FAST
    for i in np.flatnonzero(is_large).tolist():
        v[i] = compute_surface_v(surfaces[which[i]], int(strike[i]))
    return v
