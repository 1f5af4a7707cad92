"""A liquidator: bids for what is up for auction as soon as the discount is worth it, for as much as the rules let it have."""

from collections.abc import Mapping
from typing import Any

from node.instruments import decode_instrument
from protocol.codes import Code
from sim.actors.trader import Bid

TOO_MUCH = frozenset({Code.BID_SIZE, Code.MARGIN, Code.CASH, Code.POSITIONS, Code.LOTS})  # of fewer units it may still be good
VALID_S = 60  # chain seconds


def choose_lot(auction: Mapping[str, Any], discount: float) -> tuple[int, int] | None:
    """Series and signed lots of the target's largest position, once the discount is at least so many percent."""
    if auction["discount_percent"] < discount or not auction["positions"]:
        return None
    largest = max(auction["positions"], key=lambda position: abs(position["size"]))
    return decode_instrument(largest["instrument_name"]), largest["size"]


def open_bid(target: int, lot: tuple[int, int], price: int, max_lots: int, valid_until: int) -> Bid:
    """For all of the lot, at the price that is asked. Marks may move it before the bid is there: then it is refused, and made anew."""
    series, lots = lot
    return Bid(target, series, 1 if lots > 0 else -1, min(abs(lots), max_lots), price, valid_until)
