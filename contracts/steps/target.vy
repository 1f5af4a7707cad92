# pragma version ~=0.4.3
"""
@title TARGET: is the flagged account better off by the bid, and not sold further than need be?
@dev Twin of protocol/steps/target.py.
"""

from ..lib import auction
from ..lib import codes
from ..lib import machine
from ..lib import margin as risk
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import types

MAX_CASH: constant(int256) = 2**60

ACCOUNT_DEPTH: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth

@internal
@pure
def _check(trade: types.Trade, cash: int256, less: risk.Margin, after: risk.Margin) -> uint256:
    """
    @notice `cash` is the target's before the bid, `less` its margin after one unit less, `after` after all of them.
    @dev What it was before, the BID step has put into the trade.
    """
    if after.cash >= MAX_CASH or after.cash <= -MAX_CASH or (after.cash < 0 and after.cash < cash):
        return codes.CASH
    before: risk.Margin = risk.Margin(equity=trade.equity, maintenance=trade.maintenance, initial=0, has_short=True, cash=cash)
    if not risk._is_reducing(before, after) or not auction._is_cheap(before, after):
        return codes.MARGIN
    if auction._is_restored(less):
        return codes.BID_SIZE
    return codes.OK

@external
@view
def step(
    header: types.Header,
    trade: types.Trade,
    globals: types.Globals,
    rest: bytes32,
    account: types.Account,
    account_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
) -> (types.Header, uint256):
    """
    @notice Nothing came between the bid's terms and this, so the price and the margin in the trade are today's.
    """
    assert types._trade_hash(trade) == header.scratch, "target: trade"
    # READ
    merkle._check_globals(header.state, globals, rest)
    leaf: bytes32 = types._account_leaf(account)
    merkle._fold_place(rest, merkle.ACCOUNTS, trade.maker, ACCOUNT_DEPTH, leaf, leaf, account_path)
    assert holdings._hash(positions) == account.positions, "target: positions"
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, both, both, markets_path)
    # COMPUTE
    cash: int256 = account.cash - trade.units * trade.price
    less: risk.Margin = empty(risk.Margin)
    after: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    less, after, oldest = risk._compute_margins(
        cash - trade.price, cash, risk._merge(positions, trade.legs, trade.units + 1, trade.units), markets
    )
    # CHECK
    code: uint256 = self._check(trade, account.cash, less, after)
    if code != codes.OK:
        return machine._next_row(header), code
    h: types.Header = header
    h.phase = machine.AWARD
    return h, codes.OK
