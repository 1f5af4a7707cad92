"""Who pays when an account cannot: amounts only, in 1e-6 USD. Twin: contracts/lib/waterfall.vy.

The order is the account itself (a penalty, while it still has equity), the backstop pool, the insurance fund, and last the other side of
its short positions (a haircut). What even that does not cover is a debt, which the next settlement's winners share.
"""

from typing import NamedTuple

from protocol.fixed_point import div_down, mul_div_down

PENALTY_PARTS = 10  # of the maintenance margin: what a liquidation costs at most


class Purse(NamedTuple):
    """Whose money pays."""

    pool: int
    fund: int

    def pay(self, need: int) -> tuple["Purse", int]:
        """Out of the pool, then the fund; and what remains to be paid. Nothing for a need below zero."""
        from_pool = min(max(need, 0), self.pool)
        from_fund = min(max(need, 0) - from_pool, self.fund)
        return Purse(self.pool - from_pool, self.fund - from_fund), max(need, 0) - from_pool - from_fund

    def pay_from_fund(self, need: int) -> tuple["Purse", int]:
        """The fund before the pool: a settlement's losses are nobody's position in the pool."""
        from_fund = min(need, self.fund)
        from_pool = min(need - from_fund, self.pool)
        return Purse(self.pool - from_pool, self.fund - from_fund), need - from_fund - from_pool


class Takeover(NamedTuple):
    """What the account keeps as cash, what the equity of its slot is, and what pool and fund then have."""

    kept: int
    equity: int
    purse: Purse


def top_up(equity: int, maintenance: int, purse: Purse) -> tuple[int, Purse]:
    """A slot's equity, brought to its maintenance by the pool as far as it has money; the pool takes what is above.

    Where that leaves it below zero, the fund brings it to zero or does nothing. `maintenance` is not negative.
    """
    put = min(maintenance - equity, purse.pool)
    equity += put
    lifted = -equity if equity < 0 and -equity <= purse.fund else 0
    return equity + lifted, Purse(purse.pool - put, purse.fund - lifted)


def compute_takeover(equity: int, maintenance: int, purse: Purse) -> Takeover | None:
    """Of an account with positions. None where pool and fund lack the money."""
    if equity < 0:
        after, purse = top_up(equity, maintenance, purse)
        return Takeover(0, after, purse) if after >= 0 else None
    penalty = min(equity, div_down(maintenance, PENALTY_PARTS))
    to_fund = div_down(penalty, 2)
    lacking = maintenance - (penalty - to_fund)
    if lacking > purse.pool:
        return None
    return Takeover(equity - penalty, maintenance, Purse(purse.pool - lacking, purse.fund + to_fund))


class Closing(NamedTuple):
    """At what shorts worth `worth` are closed together, and what nobody has paid then."""

    paid: int
    worth: int
    purse: Purse
    debt: int

    def compute_price(self, mark: int) -> int:
        """A lot, rounded down, for one whose mark (rounded up) is `mark`."""
        return mul_div_down(mark, self.paid, self.worth) if self.worth else 0


def compute_closing(equity: int, worth: int, purse: Purse) -> Closing:
    """Of a bankrupt's shorts: pool and fund pay what is missing, the other side goes without the rest, up to all that it gains."""
    purse, rest = purse.pay(-equity)
    haircut = min(rest, worth)
    return Closing(worth - haircut, worth, purse, rest - haircut)
