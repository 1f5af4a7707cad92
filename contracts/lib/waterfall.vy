# pragma version ~=0.4.3
"""
@title Who pays when an account cannot: amounts only, in 1e-6 USD
@dev Twin of protocol/waterfall.py. The order is the account itself (a penalty, while it still has equity), the backstop pool, the insurance
     fund, and last the other side of its short positions (a haircut). What even that does not cover is a debt.
"""

PENALTY_PARTS: constant(int256) = 10  # of the maintenance margin: what a liquidation costs at most

struct Purse:
    pool: int256
    fund: int256

struct Takeover:
    is_possible: bool
    kept: int256  # what the account keeps as cash
    equity: int256  # of its slot
    purse: Purse

struct Closing:
    paid: int256
    worth: int256
    purse: Purse
    debt: int256

@internal
@pure
def _pay(purse: Purse, need: int256) -> (Purse, int256):
    """
    @notice Out of the pool, then the fund; and what remains to be paid. Nothing for a need below zero.
    """
    owed: int256 = max(need, 0)
    from_pool: int256 = min(owed, purse.pool)
    from_fund: int256 = min(owed - from_pool, purse.fund)
    return Purse(pool=purse.pool - from_pool, fund=purse.fund - from_fund), owed - from_pool - from_fund

@internal
@pure
def _pay_from_fund(purse: Purse, need: int256) -> (Purse, int256):
    """
    @notice The fund before the pool: a settlement's losses are nobody's position in the pool.
    """
    from_fund: int256 = min(need, purse.fund)
    from_pool: int256 = min(need - from_fund, purse.pool)
    return Purse(pool=purse.pool - from_pool, fund=purse.fund - from_fund), need - from_fund - from_pool

@internal
@pure
def _top_up(equity: int256, maintenance: int256, purse: Purse) -> (int256, Purse):
    """
    @notice A slot's equity, brought to its maintenance by the pool as far as it has money; the pool takes what is above. Where that leaves
            it below zero, the fund brings it to zero or does nothing.
    """
    put: int256 = min(maintenance - equity, purse.pool)
    after: int256 = equity + put
    lifted: int256 = 0
    if after < 0 and -after <= purse.fund:
        lifted = -after
    return after + lifted, Purse(pool=purse.pool - put, fund=purse.fund - lifted)

@internal
@pure
def _compute_takeover(equity: int256, maintenance: int256, purse: Purse) -> Takeover:
    """
    @notice Of an account with positions. Not possible where pool and fund lack the money.
    """
    if equity < 0:
        after: int256 = 0
        paid: Purse = purse
        after, paid = self._top_up(equity, maintenance, purse)
        return Takeover(is_possible=after >= 0, kept=0, equity=after, purse=paid)
    penalty: int256 = min(equity, maintenance // PENALTY_PARTS)
    to_fund: int256 = penalty // 2
    lacking: int256 = maintenance - (penalty - to_fund)
    return Takeover(
        is_possible=lacking <= purse.pool,
        kept=equity - penalty,
        equity=maintenance,
        purse=Purse(pool=purse.pool - lacking, fund=purse.fund + to_fund),
    )

@internal
@pure
def _compute_price(closing: Closing, mark: int256) -> int256:
    """
    @notice A lot, rounded down, for one whose mark (rounded up) is `mark`.
    """
    if closing.worth == 0:
        return 0
    return mark * closing.paid // closing.worth

@internal
@pure
def _compute_closing(equity: int256, worth: int256, purse: Purse) -> Closing:
    """
    @notice Of a bankrupt's shorts: pool and fund pay what is missing, the other side goes without the rest, up to all that it gains.
    """
    paid: Purse = purse
    left: int256 = 0
    paid, left = self._pay(purse, -equity)
    haircut: int256 = min(left, worth)
    return Closing(paid=worth - haircut, worth=worth, purse=paid, debt=left - haircut)
