# pragma version ~=0.4.3
"""
@title Reading both markets
@dev The leaf of a market without a mark is zero whatever a witness says of it, so a witness must say nothing of it.
"""

from . import merkle
from . import types

@internal
@pure
def _check(rest: bytes32, markets: types.Market[2], path: bytes32[2]):
    """
    @notice Reverts unless `markets` are what `rest` holds.
    """
    for market: types.Market in markets:
        if market.mark_time == 0:
            assert keccak256(abi_encode(market)) == keccak256(abi_encode(empty(types.Market))), "markets: empty"
    node: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, node, node, path)
