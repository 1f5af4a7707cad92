# pragma version ~=0.4.3
"""
@title Reason codes: why an operation changed nothing
@dev Twin of protocol/codes.py: same names, same numbers; tests/steps compares them. Only what a step contract can return is here.
"""

OK: constant(uint256) = 0
MALFORMED: constant(uint256) = 1
ALLOWANCE: constant(uint256) = 2
AUTHORITY: constant(uint256) = 3
SIGNATURE: constant(uint256) = 4
ACCOUNT: constant(uint256) = 10
NONCE: constant(uint256) = 11
GENERATION: constant(uint256) = 12
EXPIRED: constant(uint256) = 13
ORDER: constant(uint256) = 14
SERIES: constant(uint256) = 15
SIDE: constant(uint256) = 16
LIMIT: constant(uint256) = 17
OVERFILL: constant(uint256) = 18
SELF_TRADE: constant(uint256) = 19
LOTS: constant(uint256) = 20
PRICE: constant(uint256) = 21
STRIKE: constant(uint256) = 22
LEGS: constant(uint256) = 23
POST_ONLY: constant(uint256) = 24
REDUCE_ONLY: constant(uint256) = 25
FILL_OR_KILL: constant(uint256) = 26
FEE: constant(uint256) = 27
SHEET: constant(uint256) = 28
SCOPE: constant(uint256) = 29
BAND: constant(uint256) = 30
STALE: constant(uint256) = 31
MARGIN: constant(uint256) = 32
FLAGGED: constant(uint256) = 33
POSITIONS: constant(uint256) = 34
CASH: constant(uint256) = 35
NOTHING_FREE: constant(uint256) = 36
HALTED: constant(uint256) = 37
UNSETTLED: constant(uint256) = 38
MARK_TIME: constant(uint256) = 40
MARK_SHAPE: constant(uint256) = 41
QUORUM: constant(uint256) = 42
SETTLE_TIME: constant(uint256) = 43
NOT_FLAGGED: constant(uint256) = 50
BID_SIZE: constant(uint256) = 51
POOL: constant(uint256) = 52
FROZEN: constant(uint256) = 60
SHUTDOWN_TIME: constant(uint256) = 61
