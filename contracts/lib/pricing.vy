# pragma version ~=0.4.3
"""
@title Black-76 in Q38: the time value of the out-of-the-money option, symmetric in forward and strike
@dev Twin of protocol/pricing.py, bit for bit. Signed values are scaled with `>>`, which floors as Python's does; only non-negative ones are
     divided. Within the bounds no intermediate passes 128 bits, so arithmetic is unchecked. Horner's rule is one expression: a
     statement per coefficient costs twice the gas.
"""

Q: constant(uint256) = 38
ONE: constant(int256) = 274877906944
MAX_PRICE: constant(int256) = 2**43 - 1
MAX_V: constant(int256) = 8 * ONE - 1
CUTOFF: constant(int256) = -1992864825344  # d1 = -7.25
LN2: constant(int256) = 190530846196
LOG2E: constant(int256) = 396564993198

@internal
@pure
def _compute_ln_ratio(hi: int256, lo: int256) -> int256:
    """
    @notice ln(hi / lo) in Q38 for 0 < lo <= hi, clamped at ln 1024.
    """
    m: uint256 = convert(unsafe_div(min(hi, lo << 10) << Q, lo), uint256)
    e: uint256 = 0
    if m >= 2**46:
        m = m >> 8
        e = 8
    if m >= 2**42:
        m = m >> 4
        e = e | 4
    if m >= 2**40:
        m = m >> 2
        e = e | 2
    if m >= 2**39:
        m = m >> 1
        e = e | 1
    t: int256 = convert(unsafe_div(unsafe_sub(m, 2**38) << Q, unsafe_add(m, 2**38)), int256)
    u: int256 = unsafe_mul(t, t) >> Q
    # COMPUTE 2 atanh(t) / t in t**2
    p: int256 = unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(
        unsafe_add(unsafe_mul(60089872628, u) >> Q, 47066070407), u) >> Q, 61311867299), u) >> Q, 78527521113), u) >> Q,
        109951331611), u) >> Q, 183251936784), u) >> Q, 549755813889)
    return unsafe_add(unsafe_mul(p, t) >> Q, unsafe_mul(convert(e, int256), LN2))

@internal
@pure
def _compute_exp_negative(y: int256) -> int256:
    """
    @notice exp(-y) in Q38, y >= 0.
    """
    w: int256 = unsafe_mul(y, LOG2E) >> Q
    u: int256 = w & (ONE - 1)
    p: int256 = unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(
        unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(257639, u) >> Q, -4006347), u) >> Q, 42158133), u) >> Q,
        -366404209), u) >> Q, 2643774953), u) >> Q, -15256846218), u) >> Q, 66032958747), u) >> Q, -190530846171), u) >> Q,
        274877906944)
    return p >> convert(w >> Q, uint256)

@internal
@pure
def _compute_mills(x: int256) -> int256:
    """
    @notice (1 - N(x)) / exp(-x**2 / 2) in Q38, x >= 0.
    """
    u: int256 = unsafe_sub(unsafe_div(2**79, unsafe_add(x, 4 * ONE)), ONE)
    return unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(
        unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(
        unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(unsafe_add(unsafe_mul(-3515, u) >> Q, 322889), u) >> Q, -1030424), u) >> Q,
        -1427979), u) >> Q, 7839385), u) >> Q, 12599395), u) >> Q, -51456206), u) >> Q, -175613877), u) >> Q, 139520001), u) >> Q,
        2334291508), u) >> Q, 8484052451), u) >> Q, 19710781935), u) >> Q, 34189109386), u) >> Q, 46838569049), u) >> Q, 25951399474)

@internal
@pure
def _compute_time_value(lo: int256, x: int256, v: int256) -> int256:
    """
    @notice In 1e-6 USD a unit, for x = ln(hi / lo) and v = sigma sqrt(T) in Q38.
    """
    if v == 0 or x >= unsafe_mul(v, 12):
        return 0
    z: int256 = unsafe_div(x << Q, v)
    half: int256 = v >> 1
    d1: int256 = unsafe_sub(half, z)
    if d1 < CUTOFF:
        return 0
    e: int256 = self._compute_exp_negative(unsafe_mul(d1, d1) >> 39)
    n2: int256 = unsafe_mul(e, self._compute_mills(unsafe_add(z, half))) >> Q
    n1: int256 = 0
    if d1 >= 0:
        n1 = unsafe_sub(ONE, unsafe_mul(e, self._compute_mills(d1)) >> Q)
    else:
        n1 = unsafe_mul(e, self._compute_mills(unsafe_sub(0, d1))) >> Q
    if n1 <= n2:
        return 0
    return unsafe_mul(lo, unsafe_sub(n1, n2)) >> Q

@internal
@pure
def _compute_price(forward: int256, strike: int256, v: int256) -> (int256, int256):
    """
    @notice Call and put in 1e-6 USD a unit; 0 < forward, strike <= MAX_PRICE and 0 <= v <= MAX_V.
    """
    lo: int256 = min(forward, strike)
    hi: int256 = max(forward, strike)
    time_value: int256 = self._compute_time_value(lo, self._compute_ln_ratio(hi, lo), v)
    return unsafe_add(unsafe_sub(forward, lo), time_value), unsafe_add(unsafe_sub(strike, lo), time_value)
