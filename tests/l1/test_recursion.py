"""Nested JSON must stay an error in every process that talks to L1."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["l1.deploy", "l1.devnet"])
def test_importing_us_leaves_the_recursion_limit_alone(module: str) -> None:
    code = f"import sys, json; before = sys.getrecursionlimit(); import {module}; assert sys.getrecursionlimit() == before"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
