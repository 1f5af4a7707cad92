"""Everything that talks to Ethereum, and the embedded development chain.

Ethereum is an adversary here: endpoints lie, lag and hang, blocks are reorganised, transactions get stuck and vanish.
"""

import importlib
import os

from l1.recursion import keep_recursion_limit

# pysha3 hashes short inputs about four times faster than the default backend; eth-hash reads this at its first hash.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

# Here, so that no order of imports below can raise the limit: eth-account brings py_ecc in.
with keep_recursion_limit():
    importlib.import_module("py_ecc")
