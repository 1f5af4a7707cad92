# pragma version ~=0.4.3
"""
@title SETTLE_TALLY and SETTLE_PAY: an expiry's positions become cash
@dev Twin of protocol/sweeps/settle.py.
"""

from . import haircut
from . import machine
from . import marks
from . import positions as holdings
from . import tour
from . import types
from . import waterfall

LOTS_PER_UNIT: constant(uint256) = 100
LISTING_SHIFT: constant(uint256) = 49  # of a series: underlying and expiry are above
EXPIRY_BITS: constant(uint256) = 40
MAX_SLICES: constant(uint256) = 16

@internal
@pure
def _compute_payoff(series: uint256, price: uint256) -> int256:
    """
    @notice 1e-6 USD a lot at the settlement price: exact, since strikes and the price are multiples of 100.
    """
    strike: uint256 = (series >> 1) & (2**48 - 1)
    intrinsic: uint256 = 0
    if series & 1 == 1:
        intrinsic = price - min(price, strike)
    else:
        intrinsic = strike - min(price, strike)
    return convert(intrinsic // LOTS_PER_UNIT, int256)

@internal
@pure
def _settle(positions: DynArray[uint256, 128], sweep: types.Sweep) -> (int256, DynArray[uint256, 128]):
    """
    @notice What the positions of the listing pay, 1e-6 USD, signed; and the positions that stay.
    """
    gain: int256 = 0
    kept: DynArray[uint256, 128] = []
    for position: uint256 in positions:
        series: uint256 = holdings._series(position)
        if series >> LISTING_SHIFT == sweep.listing:
            gain += holdings._lots(position) * self._compute_payoff(series, sweep.price)
        else:
            kept.append(position)
    return gain, kept

@internal
@pure
def _compute_deficit(cash: int256, gain: int256, kept: DynArray[uint256, 128], markets: types.Market[2]) -> int256:
    """
    @notice What the account cannot pay of what it owes here, out of its cash and of what its other positions are worth.
    @dev Where these are worth less than nothing, that is no settlement's loss: its cash is not kept for it.
    """
    if gain >= 0:
        return 0
    longs: int256 = 0
    shorts: int256 = 0
    total: int256 = 0
    longs, shorts, total = marks._compute_values(kept, markets)
    return max(0, min(-(cash + gain + max(0, longs - shorts)), -gain))

@internal
@pure
def _visit(visit: tour.Visit, is_slot: bool, positions: DynArray[uint256, 128], markets: types.Market[2]) -> tour.Visit:
    """
    @notice What users gain and what they cannot pay is tallied; then the positions become cash. The pool's slots share no loss.
    """
    v: tour.Visit = visit
    s: types.Sweep = visit.sweep
    gain: int256 = 0
    kept: DynArray[uint256, 128] = []
    gain, kept = self._settle(positions, s)
    won: int256 = 0
    deficit: int256 = 0
    if not is_slot:
        won = max(0, gain)
        deficit = self._compute_deficit(v.account.cash, gain, kept, markets)
    if s.mode == machine.MODE_SETTLE_TALLY:
        v.sweep.total += won
        v.sweep.deficit += deficit
        return v
    v.account.cash += gain - haircut._share(s.before, won, s.loss, s.total) + deficit
    v.account.positions = holdings._hash(kept)
    v.sweep.before += won
    v.keeps_bit = is_slot or tour._is_holder(v.account)
    return v

@internal
@pure
def _end_tally(globals: types.Globals, sweep: types.Sweep) -> (types.Globals, types.Sweep):
    """
    @notice The fund and the pool pay what is missing; the winners go without the rest.
    """
    s: types.Sweep = sweep
    purse: waterfall.Purse = tour._purse(globals)
    debt: int256 = convert(globals.debt, int256)
    left: int256 = 0
    purse, left = waterfall._pay_from_fund(purse, s.deficit + debt)
    s.loss = min(left, s.total)
    s.mode = machine.MODE_SETTLE_PAY
    s.cursor = 0
    s.deficit = 0
    return tour._put_purse(globals, purse, left - s.loss - debt), s

@internal
@pure
def _drop_slice(market: types.Market, expiry: uint256) -> types.Market:
    """
    @notice The others move up.
    """
    m: types.Market = market
    m.slices = empty(types.Slice[16])
    count: uint256 = 0
    for i: uint256 in range(MAX_SLICES):
        if market.slices[i].expiry != expiry and market.slices[i].expiry != 0:
            m.slices[count] = market.slices[i]
            count += 1
    return m

@internal
@pure
def _end_pay(markets: types.Market[2], listing: uint256) -> types.Market[2]:
    """
    @notice The slice goes.
    """
    after: types.Market[2] = markets
    underlying: uint256 = listing >> EXPIRY_BITS
    after[underlying] = self._drop_slice(markets[underlying], listing & (2**EXPIRY_BITS - 1))
    return after
