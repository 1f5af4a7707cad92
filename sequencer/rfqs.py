"""Requests for quotes. Somebody asks what a combination costs, and makers answer with ordinary signed orders. Those rest in a book that
only the asker's orders take from: one TRADE against one answer, all legs or none.
"""

from dataclasses import dataclass

from sequencer.events import Legs

MAX_OPEN = 1_024  # in all
MAX_OWN = 8  # of one account
MAX_LIFE_S = 600  # chain seconds


@dataclass(frozen=True, slots=True)
class Rfq:
    """Open until `valid_until`; so are its answers at most."""

    number: int
    account: int
    legs: Legs
    lots: int
    valid_until: int


class Rfqs:
    """Those that are open, oldest first."""

    def __init__(self) -> None:
        self.open: dict[int, Rfq] = {}
        self.last = 0  # number given out

    def add(self, account: int, legs: Legs, lots: int, valid_until: int) -> Rfq | None:
        """None where there are too many."""
        own = sum(rfq.account == account for rfq in self.open.values())
        if own >= MAX_OWN or len(self.open) >= MAX_OPEN:
            return None
        self.last += 1
        rfq = self.open[self.last] = Rfq(self.last, account, legs, lots, valid_until)
        return rfq

    def remove_expired(self, now: int) -> None:
        """Their answers leave the book by their own validity."""
        for number in [number for number, rfq in self.open.items() if rfq.valid_until < now]:
            del self.open[number]
