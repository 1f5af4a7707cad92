"""Q38 fixed point, and the only integer divisions of the protocol.

A Q38 number is an integer `x` that stands for x / 2**38. Every intermediate of the pricing kernel fits a signed 64-bit
word, so Python ints (the reference), numpy int64 (`pricing_fast`) and Vyper int256 (`contracts/lib`) agree bit for bit;
`tests/pricing/test_bounds.py` audits that.

Python's `//` floors, Vyper's and C's truncate. They agree only where the numerator is not negative and the divisor is
positive, so nothing else is divided here: signed values are scaled with `>>`, which floors everywhere, or by magnitude.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Where both operands may be arrays of int64, or a divisor one number: numpy's `//` floors like Python's.
Number = TypeVar("Number", int, "NDArray[np.int64]")

Q = 38
ONE = 1 << Q

__all__ = ["ONE", "Q", "div", "div_down", "div_up", "isqrt", "mod", "mul", "mul_div_down", "mul_div_up"]


def mul(a: int, b: int) -> int:
    """Product of two Q38 numbers of any sign, rounded towards minus infinity."""
    return a * b >> Q


def div(a: int, b: int) -> int:
    """Quotient of two Q38 numbers (or of two integers, as Q38), rounded down; a >= 0, b > 0. In int64: a < 2**43, b < 2**44."""
    return (a << Q) // b


def div_down(a: Number, b: Number | int) -> Number:
    """a / b rounded down; a >= 0, b > 0."""
    return a // b


def div_up(a: Number, b: Number | int) -> Number:
    """a / b rounded up; a >= 0, b > 0."""
    return (a + b - 1) // b


def mod(a: int, b: int) -> int:
    """Remainder of `div_down`; a >= 0, b > 0."""
    return a % b


def mul_div_down(a: int, b: int, c: int) -> int:
    """a * b / c rounded down, the product unbounded; a, b >= 0, c > 0."""
    return a * b // c


def mul_div_up(a: int, b: int, c: int) -> int:
    """a * b / c rounded up, the product unbounded; a, b >= 0, c > 0."""
    return (a * b + c - 1) // c
