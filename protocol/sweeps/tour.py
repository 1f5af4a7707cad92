"""What a running scan carries from account to account."""

from typing import NamedTuple

from protocol.types import Account, Globals, Market, Mode, Phase, Sweep
from protocol.waterfall import Purse


class Tour(NamedTuple):
    """What a visit reads and changes besides the account. `lines` are those of an ADL; `sweep.lines` is their hash only at a step's end."""

    globals: Globals
    sweep: Sweep
    lines: tuple[int, ...] = ()
    markets: tuple[Market, Market] = (Market(), Market())

    @property
    def purse(self) -> Purse:
        """Pool and fund."""
        return Purse(self.globals.pool, self.globals.fund)

    def put_purse(self, purse: Purse, debt: int = 0, **fields: int) -> "Tour":
        """With other globals and so much more debt, too."""
        g = self.globals
        return self._replace(globals=g._replace(pool=purse.pool, fund=purse.fund, debt=g.debt + debt, **fields))

    def put_sweep(self, **fields: int) -> "Tour":
        """With some fields of the sweep changed."""
        return self._replace(sweep=self.sweep._replace(**fields))  # type: ignore[arg-type]  # `lines`, its one field of bytes, is not among them


class Visit(NamedTuple):
    """What is after a visit: the tour, the account, whether its bit stays, whether TAKEOVER comes next for it."""

    tour: Tour
    account: Account
    keeps_bit: bool = True
    is_ripe: bool = False


class End(NamedTuple):
    """What comes after a mode: SCAN in the mode of the tour's sweep, DELEVERAGE, or the next row."""

    tour: Tour
    phase: Phase


def end_mark(tour: Tour) -> End:
    """The last part of a mark's scan: requests to enter or leave the pool, where there are any."""
    if tour.globals.requests:
        return End(Tour(tour.globals, Sweep(mode=Mode.REQUEST), (), tour.markets), Phase.SCAN)
    return End(tour, Phase.FETCH)
