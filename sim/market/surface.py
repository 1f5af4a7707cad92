"""SVI slices fitted to implied volatilities, as the integers that a MARK carries.

Raw SVI (Gatheral 2004), w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)), by least squares on total variance. The fit runs in
floats: only its rounded result is signed, and from there on everything is integers.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from protocol.params import YEAR_S
from protocol.types import Slice

NANO = 1e9
USD = 1_000_000
MIN_POINTS = 5  # SVI has five parameters: with fewer quotes the slice is flat
MIN_YEARS = 300 / YEAR_S
LIMITS = ([0.0, 0.0, -0.95, -1.0, 1e-3], [8.0, 8.0, 0.95, 1.0, 3.0])


def _compute_variance(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    a, b, rho, m, sigma = x
    return np.asarray(a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2)))


def fit_slice(expiry: int, now: int, forward: float, points: Sequence[tuple[float, float]]) -> Slice:
    """`points` are (strike, implied volatility), at least one. Weighted towards the money, where quotes are tight."""
    years = max((expiry - now) / YEAR_S, MIN_YEARS)
    k = np.log(np.array([strike for strike, _ in points]) / forward)
    w = np.array([iv for _, iv in points]) ** 2 * years
    level = float(np.interp(0.0, np.sort(k), w[np.argsort(k)]))
    forward_usd6 = round(forward * USD)
    if len(points) < MIN_POINTS or np.ptp(k) < 1e-3:
        return Slice(expiry, forward_usd6, round(level * NANO), 0, 0, 0, 0)
    weights = np.exp(-0.5 * (k / max(3.0 * np.sqrt(level), 1e-3)) ** 2) + 0.05
    start = np.array([level / 2, level, -0.1, 0.0, 0.2])
    scale = max(level, 1e-9)
    fit = least_squares(
        lambda x: (_compute_variance(x, k) - w) / scale * weights,
        np.clip(start, *np.array(LIMITS)),
        bounds=LIMITS,
        max_nfev=60,
    )
    a, b, rho, m, sigma = (round(float(value) * NANO) for value in fit.x)
    return Slice(expiry, forward_usd6, a, b, rho, m, sigma)
