"""py_ecc and py-evm raise the recursion limit to 100,000 and 12,288 when they are imported; eth-account and web3 import them.

With such a limit a few hundred kilobytes of nested JSON from a peer overflow the C stack and kill the process, where Python's own limit
makes it an error. So whatever imports one of them does it under `keep_recursion_limit`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_recursion_limit() -> Iterator[None]:
    """The limit afterwards is what it was before."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
