"""Free cash: what of an account's cash may leave it, to L1 or into the backstop pool. Twin: contracts/lib/free_cash.vy."""

from protocol.codes import Code
from protocol.margin import is_stale
from protocol.positions import has_expired
from protocol.rules import Rules
from protocol.types import Account, Globals, Market, is_risky


def compute_free(a: Account, g: Globals, markets: tuple[Market, Market], rules: Rules) -> tuple[int, Code]:
    """In 1e-6 USD, not negative: the cash; with shorts at most what equity exceeds the initial margin by. Zero with any other code than OK.

    Without positions nothing can go wrong with an account any more: its cash is free even while it is still flagged.
    """
    if not a.positions:
        return max(a.cash, 0), Code.OK
    if a.flag:
        return 0, Code.FLAGGED
    if g.shutdown:
        return 0, Code.FROZEN
    if has_expired(a.positions, g.clock):
        return 0, Code.UNSETTLED
    if not is_risky(0, a.positions):
        return max(a.cash, 0), Code.OK
    if is_stale(a.positions, markets, g.clock, rules.params.mark_max_age_s):
        return 0, Code.STALE
    margin = rules.kernel.compute_margin(a.cash, a.positions, markets)
    return max(min(a.cash, margin.equity - margin.initial), 0), Code.OK
