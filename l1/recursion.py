"""py_ecc and py-evm raise the recursion limit to 100,000 and 12,288 when they are imported; eth-account and web3 import them.

With such a limit a few hundred kilobytes of nested JSON from a peer overflow the C stack and kill the process, where Python's own limit
makes it an error. So whatever imports one of them does it under `keep_recursion_limit`, and what comes from a peer is decoded by
`decode_json`, whoever raised the limit before.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

MAX_DEPTH = 3_000  # frames, and levels of JSON, far below what the C stack holds


@contextmanager
def keep_recursion_limit() -> Iterator[None]:
    """The limit afterwards is what it was before."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def decode_json(text: str | bytes | bytearray) -> object:
    """Raises ValueError for what is not JSON, and for what is nested too deeply."""
    with keep_recursion_limit():
        sys.setrecursionlimit(min(sys.getrecursionlimit(), MAX_DEPTH))
        try:
            return cast(object, json.loads(text))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
