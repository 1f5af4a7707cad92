"""The guard of `protocol/` finds what it is there to find."""

import pytest

from tests.checks.purity import DIVIDER, find_impurities

IMPURE = {
    "half = 0.5": "float constant",
    "unit = 1j": "float constant",
    "x = a / b": "true division",
    "a /= b": "true division",
    "x = a // b": "division or remainder",
    "a //= b": "division or remainder",
    "x = a % b": "division or remainder",
    "a %= b": "division or remainder",
    "x = divmod(a, b)": "divmod",
    "x = float(a)": "name float",
    "x = round(a)": "name round",
    "def f(a: float) -> int: ...": "name float",
    "x = hash(a)": "name hash",
    "open('state')": "name open",
    "print(a)": "name print",
    "import time": "import of time",
    "import random as r": "import of random",
    "from os import path": "import of os",
    "from datetime import datetime": "import of datetime",
    "import trio.testing": "import of trio",
    "import logging": "import of logging",
    "from node.store import Store": "import of node.store",
    "from . import keccak": "relative import",
    "import math\nx = math.sqrt(a)": "math.sqrt",
    "from math import exp": "math.exp",
    "from operator import truediv": "operator.truediv",
    "import operator\nx = operator.floordiv": "operator.floordiv",
    "import numpy as np\nx = np.float64(a)": "numpy.float64",
    "import numpy as np\nx = np.mean(a)": "numpy.mean",
    "import numpy as np\nx = np.floor_divide(a, b)": "numpy.floor_divide",
    "from numpy import sqrt": "numpy.sqrt",
    "import numpy as np\nx = np.zeros(4)": "without a dtype",
    "def f():\n    def g():\n        return [i / 2 for i in a]": "true division",
}


@pytest.mark.parametrize(("source", "reason"), IMPURE.items())
def test_a_planted_impurity_is_found(source: str, reason: str) -> None:
    """One violation, one finding, with its place."""
    problems = find_impurities("protocol/planted.py", source)
    assert any(reason in problem for problem in problems), problems
    assert all(problem.startswith("protocol/planted.py:") for problem in problems)


PURE = """
from math import isqrt
from typing import NamedTuple

import numpy as np

class Pair(NamedTuple):
    high: int

def compute(a: int, b: bytes) -> int:
    mask = np.zeros(4, dtype=np.int64)
    return isqrt(a) >> 2 & 0xFF ^ len(b) + -7 * int(mask[0])
"""


def test_integer_code_passes() -> None:
    """Shifts, masks, products and roots of integers are what the rules are made of."""
    assert find_impurities("protocol/planted.py", PURE) == []


@pytest.mark.parametrize("source", ["x = a // b", "x = a % b", "x = divmod(a, b)", "import numpy as np\nx = np.floor_divide(a, b)"])
def test_only_fixed_point_divides(source: str) -> None:
    """The same line is right in one file and wrong in all others."""
    assert find_impurities(DIVIDER, source) == []
    assert find_impurities("protocol/steps/fixed_point.py", source) != []


def test_fixed_point_has_no_floats_either() -> None:
    """It divides, it does not approximate."""
    assert find_impurities(DIVIDER, "x = a / b") != []
