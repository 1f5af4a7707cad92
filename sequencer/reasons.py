"""What each code means, for people."""

from protocol.codes import Code
from sequencer.events import Refusal, Refused

REASONS: dict[int, str] = {
    Code.OK: "applied",
    Code.MALFORMED: "the operation's form is not one of the protocol's",
    Code.ALLOWANCE: "the exchange's step allowance is spent for the moment: try again",
    Code.AUTHORITY: "only an L1 message has this authority",
    Code.SIGNATURE: "not signed, over exactly these terms, by the account's owner or a session key that may",
    Code.ACCOUNT: "no such account",
    Code.NONCE: "the nonce is not above the last one used in its place",
    Code.GENERATION: "signed for another order generation than the account's present one",
    Code.EXPIRED: "valid_until has passed",
    Code.ORDER: "no registered order in that slot",
    Code.SERIES: "the instrument is not listed, has expired, or is not the other order's",
    Code.SIDE: "the two orders are on one side",
    Code.LIMIT: "the price is worse than an order's limit",
    Code.OVERFILL: "more lots than the order has left",
    Code.SELF_TRADE: "both orders are one owner's",
    Code.LOTS: "lots are out of range",
    Code.PRICE: "the price or the fee cap is out of range",
    Code.STRIKE: "the strike is outside a tenth to ten times the forward",
    Code.LEGS: "a combination has 2 to 4 legs, ascending and distinct, of 1 to 100 lots each, the first one bought",
    Code.POST_ONLY: "post-only, and it would fill at once",
    Code.REDUCE_ONLY: "reduce-only, and it would open or turn a position",
    Code.FILL_OR_KILL: "fill-or-kill, and no one order fills all of it",
    Code.FEE: "the fee is above the order's fee cap",
    Code.SHEET: "the sheet of quotes is superseded, or valid for too long",
    Code.SCOPE: "the session key's scope or expiry is out of range",
    Code.BAND: "the price is too far from the mark",
    Code.STALE: "the last mark is too old",
    Code.MARGIN: "initial margin is not covered, and the trade does not reduce risk",
    Code.FLAGGED: "the account is below maintenance margin and may only reduce its risk",
    Code.POSITIONS: "too many positions, or one too large",
    Code.CASH: "cash would be negative, or out of range",
    Code.NOTHING_FREE: "nothing can be withdrawn",
    Code.HALTED: "the market is halted: positions may only become smaller",
    Code.UNSETTLED: "an expired position waits for its settlement",
    Code.MARK_TIME: "the mark names another predecessor, comes too early, or is ahead of the clock",
    Code.MARK_SHAPE: "the mark's expiries or parameters are out of shape",
    Code.QUORUM: "not signed by the oracles' quorum",
    Code.SETTLE_TIME: "before expiry, or before the fallback may be used",
    Code.NOT_FLAGGED: "the account is not up for auction",
    Code.BID_SIZE: "more than the account holds, or than what restores its buffer",
    Code.POOL: "a request is pending, or too little or too much is asked for",
    Code.FROZEN: "the exchange is shut down",
    Code.SHUTDOWN_TIME: "too early, or over",
    Refusal.TOO_MANY: "it has met as many orders as one may: send the rest again",
}


def refuse(code: int) -> Refused:
    """With its reason."""
    return Refused(code, REASONS[code])
