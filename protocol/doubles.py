"""Integers through doubles, exactly: the only place of the protocol where floating point occurs.

A double holds every integer up to 2**53, so a sum of products that stays below is exact in whatever order it is taken. A root of a
wider integer, estimated in doubles, is off by at most one; the integer remainder, exact modulo 2**64 and small, tells which way.
Integers go in and come out: no result depends on a rounding.
"""

import numpy as np
from numpy.typing import NDArray

from protocol.fixed_point import ONE, Q, div_down

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

EXACT = 1 << 53  # integers up to here are doubles
MANTISSA_BITS = 52  # of a double, below its exponent
EXPONENT_BIAS = 1023
SIGN_SHIFT = 63  # makes -1 of a negative integer, else 0
BLOCK = 5_120  # rows gathered at a time: 0.8 MB, inside the second-level cache

# glibc hands a large array that is freed back to the system, and maps the next one anew page by page, which may double the time of a mark;
# from 16 MB that came and went on it keeps what is smaller.
np.empty(1 << 24, dtype=np.uint8)


def compute_exponents(x: Ints) -> Ints:
    """floor(log2(x)) for 0 < x <= 2**53: the exponent field of the double that x is."""
    return (x.astype(np.float64).view(np.int64) >> MANTISSA_BITS) - EXPONENT_BIAS


def compute_quotients(a: Ints, b: Ints) -> Ints:
    """floor(a 2**38 / b) for 0 <= a < 2**53 and 0 < b < 2**53, the quotient below 2**53.

    One rounding only, and it never passes an integer, which is a double itself: so the estimate is right or one too large.
    """
    estimate = np.divide(a.astype(np.float64), b.astype(np.float64))
    estimate *= ONE
    quotient = estimate.astype(np.int64)
    quotient += ((a << Q) - quotient * b) >> SIGN_SHIFT
    return quotient


def compute_polynomials(coefficients: tuple[int, ...], x: Ints) -> tuple[Ints, NDArray[np.intp]]:
    """Horner's rule in Q38, every product rounded down, for |x| <= 1.0 and values below 2**53; and the rows that may be wrong.

    A product is rounded once, and never past an integer: only where the rounded one is an integer, other than that of x = 0, its floor
    may be one too large.
    """
    y = np.ldexp(x.astype(np.float64), -Q)
    value = np.full_like(y, coefficients[-1])
    floor = np.empty_like(y)
    is_integer, is_doubtful = np.zeros((2, *x.shape), dtype=np.bool_)
    for coefficient in coefficients[-2::-1]:
        value *= y
        np.floor(value, out=floor)
        is_doubtful |= np.equal(value, floor, out=is_integer)
        np.add(floor, coefficient, out=value)
    return value.astype(np.int64), np.flatnonzero(is_doubtful & (x != 0))


def compute_hypotenuses(a: Ints, b: Ints) -> Ints:
    """floor(sqrt(a**2 + b**2)) for |a|, |b| < 2**42."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    return _correct_roots(np.sqrt(x * x + y * y), a * a + b * b)


def compute_roots(w: Ints) -> Ints:
    """Square root of a Q38 number below 64, rounded down: floor(sqrt(w 2**38))."""
    return _correct_roots(np.sqrt(w.astype(np.float64) * ONE), w << Q)


def _correct_roots(estimate: Doubles, wrapped: Ints) -> Ints:
    """From an estimate below 2**43 of a root whose square is `wrapped` modulo 2**64."""
    root = estimate.astype(np.int64)
    remainder = wrapped - root * root
    root += remainder > 2 * root
    root -= remainder < 0
    return root


def compute_sums(index: NDArray[np.intp], lots: Ints, values: Ints, doubles: Doubles, largest: int) -> Ints:
    """Sums of table rows: of `values[index[i]]` times `lots[i]`, for all i; (n, k), (n, k), (rows, width) -> (n, width). |lots| < 2**32.

    `doubles` are the same values, `largest` their largest magnitude. By blocks: in doubles where no partial sum can pass 2**53, else
    in int64, which the bounds of the protocol never fill.
    """
    count, capacity = index.shape
    width = values.shape[1]
    size = max(div_down(BLOCK, capacity), 1)
    sums = np.empty((count, width), dtype=np.int64)
    gathered = np.empty((size, capacity, width), dtype=np.float64)
    products = np.empty((size, 1, width), dtype=np.float64)
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        rows = part.stop - start
        factors = lots[part].astype(np.float64)
        if int((np.abs(factors) @ np.ones(capacity)).max()) * largest <= EXACT:
            np.take(doubles, index[part], axis=0, out=gathered[:rows], mode="clip")
            np.matmul(factors[:, None], gathered[:rows], out=products[:rows])
            sums[part] = products[:rows, 0]
        else:
            sums[part] = np.matmul(lots[part][:, None], values[index[part]])[:, 0]
    return sums


def to_doubles(values: Ints) -> Doubles:
    """For `compute_sums`; exact up to 2**53."""
    return values.astype(np.float64)
