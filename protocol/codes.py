"""Reason codes: why an operation changed nothing.

The numbers are part of the protocol's public face: they never change and are never reused. Code 0 means applied.
The Vyper twins return the same numbers (`contracts/lib/codes.vy`).
"""

from enum import IntEnum


class Code(IntEnum):
    """0 is success; everything else leaves the state as it was."""

    OK = 0
    # the row itself
    MALFORMED = 1  # unknown kind, wrong number of items, or an item out of its range
    ALLOWANCE = 2  # the step allowance is spent; the rest of the rows is dropped
    AUTHORITY = 3  # the row claims L1's authority and its sender does not have it
    SIGNATURE = 4  # missing, not canonical, or not by the key that must sign
    # accounts and orders
    ACCOUNT = 10  # no such account
    NONCE = 11  # not above the last one used
    GENERATION = 12  # signed for an order generation that has been cancelled
    EXPIRED = 13  # the order's time is over
    ORDER = 14  # no order in that slot
    SERIES = 15  # not listed, expired, or the two orders differ
    SIDE = 16  # the two orders are on one side
    LIMIT = 17  # the price is worse than an order's limit
    OVERFILL = 18  # more than what an order has left
    SELF_TRADE = 19  # maker and taker are one account or one owner
    LOTS = 20  # zero or out of range
    PRICE = 21  # out of range
    STRIKE = 22  # outside a tenth to ten times the forward
    LEGS = 23  # of a combo or a bid: not ascending, a ratio out of range, or not in the one form that it has
    POST_ONLY = 24  # the taker's order never takes
    REDUCE_ONLY = 25  # the order may only make a position smaller
    FILL_OR_KILL = 26  # the order fills in one trade or not at all
    FEE = 27  # above what the taker's order allows
    SHEET = 28  # superseded, valid for too long, or no such quote
    SCOPE = 29  # of a session key: out of range
    # risk
    BAND = 30  # too far from the mark
    STALE = 31  # needs a fresher mark
    MARGIN = 32  # initial margin is not covered and the trade does not reduce risk
    FLAGGED = 33  # a flagged account may only reduce its risk
    POSITIONS = 34  # too many positions, or one too large
    CASH = 35  # cash would be negative or out of range
    NOTHING_FREE = 36  # nothing can be withdrawn
    HALTED = 37  # the market is halted: positions may only become smaller
    UNSETTLED = 38  # an expired position waits for its settlement
    # marks and settlement
    MARK_TIME = 40  # names another predecessor, too early, or ahead of the clock
    MARK_SHAPE = 41  # expiries not ascending, missing, too many, or a parameter out of range
    QUORUM = 42  # not signed by the oracles' quorum
    SETTLE_TIME = 43  # before expiry, or before a fallback may be used
    # liquidation and the backstop pool
    NOT_FLAGGED = 50  # no auction runs
    BID_SIZE = 51  # more than the account holds, or than what restores its buffer
    POOL = 52  # a request is pending, or too little or too much was asked for
    # shutdown
    FROZEN = 60  # the exchange is shut down
    SHUTDOWN_TIME = 61  # too early, or over
