"""Prices of the backstop pool's shares. Twin: contracts/lib/pool.vy.

Both prices count VIRTUAL shares that nobody holds against as much money that nobody has: whoever enters first sets no price, and money
that falls into an empty pool is worth next to nothing to the one who enters before it. Source: EIP-4626 and OpenZeppelin's virtual offset.
"""

from protocol.fixed_point import mul_div_down, mul_div_up

VIRTUAL = 1_000_000  # shares, and 1e-6 USD
MIN_ENTRY = 10_000_000  # 1e-6 USD: a request makes a scan step
MAX_SHARES = 1 << 96  # of all: an entry that would exceed it gets its cash back


def compute_minted(amount: int, pool: int, slots_equity: int, shares: int) -> int:
    """Shares for `amount` (1e-6 USD, not negative), rounded down. An entry pays for the slots' equity too.

    `pool` (not negative) and `slots_equity` in 1e-6 USD, `shares` of all, before the entry.
    """
    return mul_div_down(amount, shares + VIRTUAL, pool + slots_equity + VIRTUAL)


def compute_paid(shares_out: int, pool: int, shares: int) -> int:
    """1e-6 USD for `shares_out` of all `shares`, rounded down, at most `pool` (not negative): their part of the pool's cash.

    Their part of the slots' equity is no cash yet: the shares that stand for it stay.
    """
    return min(mul_div_down(shares_out, pool + VIRTUAL, shares + VIRTUAL), pool)


def compute_burned(shares_out: int, paid: int, pool: int, slots_equity: int, shares: int) -> int:
    """Of `shares_out`, those that `paid` is for, at the value that an entry pays; rounded up, and all of them without slots.

    `pool` and `shares` before the exit. More than `paid` is counted by its rounding, less than one unit.
    """
    return min(mul_div_up(paid + 1, shares + VIRTUAL, pool + slots_equity + VIRTUAL), shares_out)
