# pragma version ~=0.4.3
"""
@title Prices of the backstop pool's shares
@dev Twin of protocol/pool.py. Cash is below 2**60 and shares are at most 2**96: no product overflows.
"""

VIRTUAL: constant(uint256) = 1_000_000  # shares, and 1e-6 USD
MIN_ENTRY: constant(uint256) = 10_000_000  # 1e-6 USD: a request makes a scan step
MAX_SHARES: constant(uint256) = 2**96  # of all: an entry that would exceed it gets its cash back

@internal
@pure
def _compute_minted(amount: uint256, pool: uint256, slots_equity: uint256, shares: uint256) -> uint256:
    """
    @notice Shares for `amount` (1e-6 USD), rounded down. An entry pays for the slots' equity too.
    """
    return amount * (shares + VIRTUAL) // (pool + slots_equity + VIRTUAL)

@internal
@pure
def _compute_paid(shares_out: uint256, pool: uint256, shares: uint256) -> uint256:
    """
    @notice 1e-6 USD for `shares_out` of all `shares`, rounded down, at most `pool`: their part of the pool's cash. Their part of the slots'
            equity is no cash yet: the shares that stand for it stay.
    """
    return min(shares_out * (pool + VIRTUAL) // (shares + VIRTUAL), pool)

@internal
@pure
def _compute_burned(shares_out: uint256, paid: uint256, pool: uint256, slots_equity: uint256, shares: uint256) -> uint256:
    """
    @notice Of `shares_out`, those that `paid` is for, at the value that an entry pays; rounded up, all of them where the slots are worth
            nothing. `pool` and `shares` before the exit.
    """
    worth: uint256 = pool + slots_equity + VIRTUAL
    return min(((paid + 1) * (shares + VIRTUAL) + worth - 1) // worth, shares_out)
