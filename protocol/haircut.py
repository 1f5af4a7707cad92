"""The one haircut formula: a loss is shared over what many stand to gain. Twin: contracts/lib/haircut.vy."""

from protocol.fixed_point import mul_div_down


def share(before: int, part: int, loss: int, total: int) -> int:
    """What of `loss` falls on `part` of `total`, after the parts visited earlier, whose sum is `before`; 0 where `total` is 0.

    All in one unit, none negative, before + part <= total. The shares of all parts sum to `loss` exactly, and none is above its part
    where loss <= total. Source: cumulative rounding.
    """
    if total == 0:
        return 0
    return mul_div_down(before + part, loss, total) - mul_div_down(before, loss, total)
