"""Where the kernel's constants come from. Run it to print them: `python tests/pricing/coefficients.py`.

Each function is interpolated at Chebyshev nodes (near minimax) with 60 digits, written in powers of its argument and rounded to Q38.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp

Number = Any  # mpmath ships no types
ONE = 1 << 38
MILLS_CENTRE = 4  # u = 8 / (x + 4) - 1 maps x = 0 to 1, x = 16 to -3/5
MILLS_LAST = 16


def fit(function: Callable[[Number], Number], a: Number, b: Number, degree: int) -> list[Number]:
    """Coefficients, constant first, of the polynomial through `degree + 1` Chebyshev nodes of [a, b]."""
    count = degree + 1
    angles = [mp.pi * (k + mp.mpf(1) / 2) / count for k in range(count)]
    values = [function((a + b) / 2 + (b - a) / 2 * mp.cos(angle)) for angle in angles]
    weights = [2 / mp.mpf(count) * sum(value * mp.cos(j * angle) for value, angle in zip(values, angles)) for j in range(count)]
    weights[0] /= 2
    # Chebyshev polynomials of t = (2x - a - b) / (b - a), as polynomials in x
    scale, shift = 2 / (b - a), -(a + b) / (b - a)
    previous, current = [mp.mpf(1)], [shift, scale]
    result = [mp.mpf(0)] * count
    for weight in weights:
        for power, coefficient in enumerate(previous):
            result[power] += weight * coefficient
        following = [mp.mpf(0)] * (len(current) + 1)
        for power, coefficient in enumerate(current):
            following[power] += 2 * shift * coefficient
            following[power + 1] += 2 * scale * coefficient
        for power, coefficient in enumerate(previous):
            following[power] -= coefficient
        previous, current = current, following
    return result


def compute_exp2(x: Number) -> Number:
    """2**-x on [0, 1]."""
    return mp.mpf(2) ** -x


def compute_atanh(y: Number) -> Number:
    """2 atanh(t) / t in y = t**2 on [0, 1/9]: ln of a mantissa in [1, 2)."""
    return 2 * mp.atanh(mp.sqrt(y)) / mp.sqrt(y)


def compute_mills(u: Number) -> Number:
    """(1 - N(x)) exp(x**2 / 2), which is the Mills ratio over sqrt(2 pi), at x = 8 / (u + 1) - 4."""
    x = MILLS_CENTRE * (1 - u) / (1 + u)
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2


def compute_tables() -> dict[str, tuple[int, ...] | int]:
    """Name in `protocol.pricing` -> value."""
    with mp.workdps(60):
        lowest = mp.mpf(MILLS_CENTRE - MILLS_LAST) / (MILLS_CENTRE + MILLS_LAST)
        fits = {
            "EXP2": fit(compute_exp2, mp.mpf(0), mp.mpf(1), 8),
            "ATANH": fit(compute_atanh, mp.mpf(0), mp.mpf(1) / 9, 6),
            "MILLS": fit(compute_mills, lowest, mp.mpf(1), 14),
        }
        tables: dict[str, tuple[int, ...] | int] = {
            name: tuple(int(mp.nint(value * ONE)) for value in values) for name, values in fits.items()
        }
        numbers = {"LN2": mp.log(2), "LOG2E": 1 / mp.log(2), "INV_SQRT_2PI": 1 / mp.sqrt(2 * mp.pi)}
        return tables | {name: int(mp.nint(value * ONE)) for name, value in numbers.items()}


if __name__ == "__main__":
    for name, value in compute_tables().items():
        print(name, "=", value)
