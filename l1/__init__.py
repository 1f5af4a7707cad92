"""Everything that talks to Ethereum, and the embedded development chain.

Ethereum is an adversary here: endpoints lie, lag and hang, blocks are reorganised, transactions get stuck and vanish.
"""

import os

# pysha3 hashes short inputs about four times faster than the default backend; eth-hash reads this at its first hash.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
