# pragma version ~=0.4.3
"""
@title Positions of an account
@dev Twin of protocol/positions.py. A packed position is series << 32 | lots + 2**31; the list ascends by series and has no zero lots.
     Merging makes room for four more than an account may have, so that the bound is a code and not a revert.
"""

MAX_POSITIONS: constant(uint256) = 128
MAX_LOTS: constant(int256) = 2**20
MAX_ACCOUNT_LOTS: constant(int256) = 2**26
LOTS_BIAS: constant(int256) = 2**31
LOTS_MASK: constant(uint256) = 2**32 - 1
LOTS_BITS: constant(uint256) = 32
EXPIRY_SHIFT: constant(uint256) = 81  # 49 below the expiry in its series, 32 below the series
EXPIRY_MASK: constant(uint256) = 2**40 - 1

@internal
@pure
def _hash(positions: DynArray[uint256, 132]) -> bytes32:
    return keccak256(abi_encode(positions))

@internal
@pure
def _series(position: uint256) -> uint256:
    return position >> LOTS_BITS

@internal
@pure
def _lots(position: uint256) -> int256:
    return convert(position & LOTS_MASK, int256) - LOTS_BIAS

@internal
@pure
def _encode(series: uint256, lots: int256) -> uint256:
    return (series << LOTS_BITS) | convert(lots + LOTS_BIAS, uint256)

@internal
@pure
def _get_lots(positions: DynArray[uint256, 132], series: uint256) -> int256:
    """
    @notice Zero where nothing is held.
    """
    for position: uint256 in positions:
        if position >> LOTS_BITS == series:
            return self._lots(position)
    return 0

@internal
@pure
def _apply_lots(positions: DynArray[uint256, 132], series: uint256, change: int256) -> DynArray[uint256, 132]:
    """
    @notice The positions after `change` lots more of `series`; a position that becomes zero is gone.
    """
    merged: DynArray[uint256, 132] = []
    is_placed: bool = False
    for position: uint256 in positions:
        of: uint256 = position >> LOTS_BITS
        if not is_placed and of >= series:
            is_placed = True
            lots: int256 = change
            if of == series:
                lots += self._lots(position)
            if lots != 0:
                merged.append(self._encode(series, lots))
            if of == series:
                continue
        merged.append(position)
    if not is_placed and change != 0:
        merged.append(self._encode(series, change))
    return merged

@internal
@pure
def _apply_legs(positions: DynArray[uint256, 128], legs: uint256[4], units: int256) -> DynArray[uint256, 132]:
    """
    @notice The positions after `units` more of every leg (negative: fewer).
    """
    merged: DynArray[uint256, 132] = positions
    for leg: uint256 in legs:
        if leg == 0:
            break
        merged = self._apply_lots(merged, self._series(leg), self._lots(leg) * units)
    return merged

@internal
@pure
def _is_shrinking(positions: DynArray[uint256, 128], legs: uint256[4], units: int256) -> bool:
    """
    @notice Whether every leg's position becomes smaller, and none changes its side.
    """
    for leg: uint256 in legs:
        if leg == 0:
            break
        held: int256 = self._get_lots(positions, self._series(leg))
        change: int256 = self._lots(leg) * units
        if held * change >= 0 or abs(change) > abs(held):
            return False
    return True

@internal
@pure
def _has_expired(positions: DynArray[uint256, 132], clock: uint256) -> bool:
    """
    @notice Whether one of them waits for its settlement.
    """
    for position: uint256 in positions:
        if (position >> EXPIRY_SHIFT) & EXPIRY_MASK <= clock:
            return True
    return False

@internal
@pure
def _is_bounded(positions: DynArray[uint256, 132]) -> bool:
    """
    @notice At most 128 positions, 2**20 lots in one, 2**26 in all.
    """
    if len(positions) > MAX_POSITIONS:
        return False
    total: int256 = 0
    for position: uint256 in positions:
        size: int256 = abs(self._lots(position))
        if size > MAX_LOTS:
            return False
        total += size
    return total <= MAX_ACCOUNT_LOTS

@internal
@pure
def _is_risky(cash: int256, positions: DynArray[uint256, 132]) -> bool:
    """
    @notice Whether the mandatory scan must visit the account: a short position or negative cash.
    """
    if cash < 0:
        return True
    for position: uint256 in positions:
        if position & LOTS_MASK < convert(LOTS_BIAS, uint256):
            return True
    return False
