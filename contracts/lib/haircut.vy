# pragma version ~=0.4.3
"""
@title The one haircut formula: a loss is shared over what many stand to gain
@dev Twin of protocol/haircut.py. Amounts are below 2**100: no product overflows.
"""

@internal
@pure
def _share(before: int256, part: int256, loss: int256, total: int256) -> int256:
    """
    @notice What of `loss` falls on `part` of `total`, after the parts visited earlier, whose sum is `before`; 0 where `total` is 0.
    """
    if total == 0:
        return 0
    return (before + part) * loss // total - before * loss // total
