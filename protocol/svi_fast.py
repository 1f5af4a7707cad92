"""`svi` over arrays of int64, bit for bit.

Slices whose parameters are larger than any market's, so that a product would pass int64, go through the reference.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.doubles import Ints, compute_hypotenuses, compute_roots
from protocol.fixed_point import ONE
from protocol.pricing_fast import mul
from protocol.svi import MAX_VARIANCE, Surface, compute_surface_v

MAX_FAST = 2 * ONE  # of |a|, b, |m|, sigma


def compute_surfaces_v(surfaces: Sequence[Surface], which: NDArray[np.intp], strike: Ints, x: Ints) -> Ints:
    """`compute_surface_v` of each strike on `surfaces[which]`; `strike` within [1, MAX_PRICE], x = ln(hi / lo) of forward and strike."""
    parameters = np.array(surfaces, dtype=np.int64).reshape(-1, 6)
    forward, a, b, rho, m, sigma = parameters.T.take(which, axis=1)
    d = np.where(strike >= forward, x, -x) - m
    w = a + mul(mul(d, rho) + compute_hypotenuses(d, sigma), b)
    v = compute_roots(np.minimum(np.maximum(w, 0), MAX_VARIANCE))
    is_large = np.abs(parameters[:, [1, 2, 4, 5]]).max(axis=1, initial=0) > MAX_FAST
    for i in np.flatnonzero(is_large[which]).tolist():
        v[i] = compute_surface_v(surfaces[which[i]], int(strike[i]))
    return v
