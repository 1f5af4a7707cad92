# pragma version ~=0.4.3
"""
@title Raw SVI: v = sigma sqrt(T) of a slice at a strike, in Q38
@dev Twin of protocol/svi.py, bit for bit. Total for every word: parameters are clamped at entry, so unchecked arithmetic cannot wrap.
"""

from . import pricing
from . import types

struct Surface:
    forward: int256  # 1e-6 USD; 0 if there is no slice
    a: int256
    b: int256
    rho: int256
    m: int256
    sigma: int256

Q: constant(uint256) = 38
ONE: constant(int256) = 274877906944
NANO: constant(int256) = 1_000_000_000
MAX_PARAMETER: constant(int256) = 64 * NANO
MAX_VARIANCE: constant(int256) = 64 * ONE - 1
MAX_FORWARD: constant(uint256) = 2**42
MAX_PRICE: constant(int256) = 2**43 - 1

@internal
@pure
def _compute_q38(parameter: int256, bound: int256) -> int256:
    """
    @notice A parameter in 1e-9 clamped to [-bound, bound], in Q38, rounded towards zero: signed division truncates.
    """
    return unsafe_div(max(min(parameter, bound), -bound) << Q, NANO)

@internal
@pure
def _compute_surface(item: types.Slice) -> Surface:
    """
    @notice Clamps and converts the parameters of a slice, once for all its strikes.
    """
    return Surface(
        forward=convert(min(max(item.forward, 1), MAX_FORWARD), int256),
        a=self._compute_q38(item.a, MAX_PARAMETER),
        b=self._compute_q38(max(item.b, 0), MAX_PARAMETER),
        rho=self._compute_q38(item.rho, NANO),
        m=self._compute_q38(item.m, MAX_PARAMETER),
        sigma=self._compute_q38(max(item.sigma, 0), MAX_PARAMETER),
    )

@internal
@pure
def _compute_surface_v(surface: Surface, strike: int256) -> int256:
    """
    @notice v in Q38, rounded down; `strike` within [1, MAX_PRICE].
    """
    d: int256 = 0
    if strike >= surface.forward:
        d = unsafe_sub(pricing._compute_ln_ratio(strike, surface.forward), surface.m)
    else:
        d = unsafe_sub(unsafe_sub(0, pricing._compute_ln_ratio(surface.forward, strike)), surface.m)
    root: uint256 = isqrt(convert(unsafe_add(unsafe_mul(d, d), unsafe_mul(surface.sigma, surface.sigma)), uint256))
    w: int256 = unsafe_add(
        surface.a, unsafe_mul(surface.b, unsafe_add(unsafe_mul(surface.rho, d) >> Q, convert(root, int256))) >> Q
    )
    return convert(isqrt(convert(min(max(w, 0), MAX_VARIANCE), uint256) << Q), int256)

@internal
@pure
def _compute_v(item: types.Slice, strike: int256) -> int256:
    """
    @notice v of the slice at any strike (1e-6 USD): 0 <= v <= pricing's MAX_V for any input.
    """
    return self._compute_surface_v(self._compute_surface(item), min(max(strike, 1), MAX_PRICE))
