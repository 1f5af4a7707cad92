"""What a method that is more than a read becomes: signatures to recover, events to apply, and an answer to render from their results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.instruments import encode_legs
from protocol.codes import Code
from sequencer.events import Cancelled, Event, Fill, OrderPlaced, QuoteDropped, Refused, Result, RfqOpened, RowApplied, SheetPlaced
from sequencer.rpc import ApiError

REQUEST = 1  # every event of a session wants one reply


@dataclass(frozen=True)
class Submission:
    """`pairs` are the signatures to recover; `build` makes the events from their signers; `render` the answer from the events' results."""

    build: Callable[[Sequence[int], int], list[Event]]
    render: Callable[[Sequence[Result]], Any]
    pairs: tuple[tuple[bytes, bytes], ...] = ()
    not_before: int = 0  # chain time
    is_urgent: bool = False  # taken also while L1 does not take what there is: it takes risk away


@dataclass
class Identity:
    """Of one connection."""

    challenge: str
    accounts: dict[int, int] = field(default_factory=dict)  # account -> who has signed for it: its owner, or a session key that trades
    channels: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Deployed:
    """What clients must know to sign."""

    chain_id: int
    vault: int
    preset: str
    speed: int
    posts_noops: bool = False


def render_side(is_buy: int) -> str:
    """As Deribit says it."""
    return "buy" if is_buy else "sell"


def render_fill(fill: Fill) -> dict[str, Any]:
    """As Deribit's trades: `direction` is the taker's."""
    return {
        "trade_id": str(fill.number),
        "instrument_name": encode_legs(fill.legs),
        "timestamp": fill.time,
        "price": fill.price,
        "amount": fill.lots,
        "direction": render_side(fill.is_buy),
        "fee": fill.fee,
        "maker_order_id": f"{fill.maker}-{fill.maker_nonce}",
        "taker_order_id": f"{fill.taker}-{fill.taker_nonce}",
    }


def render_placed(placed: OrderPlaced) -> dict[str, Any]:
    """`order_state`: open, filled or cancelled; `reason_code` says why the rest does not stand."""
    filled = sum(fill.lots for fill in placed.fills)
    order: dict[str, Any] = {
        "order_id": f"{placed.account}-{placed.nonce}",
        "instrument_name": encode_legs(placed.legs),
        "direction": render_side(placed.is_buy),
        "price": placed.price,
        "amount": placed.lots,
        "filled_amount": filled,
        "order_state": "open" if placed.left else "filled" if filled == placed.lots else "cancelled",
    }
    if placed.reason:
        order |= {"reason_code": placed.code, "reason": placed.reason}
    return {"order": order, "trades": [render_fill(fill) for fill in placed.fills]}


def render_rfq(rfq: RfqOpened) -> dict[str, Any]:
    """Not who asks."""
    name = encode_legs(rfq.legs)
    return {"rfq_id": rfq.number, "instrument_name": name, "amount": rfq.lots, "valid_until": rfq.valid_until}


def _render_dropped(dropped: QuoteDropped) -> dict[str, Any]:
    name = encode_legs(dropped.legs)
    return {"instrument_name": name, "direction": render_side(dropped.is_buy), "code": dropped.code, "name": Code(dropped.code).name}


def check_result(result: Result) -> Result:
    """Raises what was refused."""
    if isinstance(result, Refused):
        raise ApiError(result.code, result.reason)
    return result


def render_one(results: Sequence[Result]) -> Any:
    """Of an operation by itself."""
    result = check_result(results[0])
    match result:
        case OrderPlaced():
            return render_placed(result)
        case SheetPlaced(_, nonce, quotes, dropped):
            return {"nonce": nonce, "quotes": quotes, "dropped": [_render_dropped(side) for side in dropped]}
        case RfqOpened():
            return render_rfq(result)
        case Cancelled(nonces, has_sheet):
            return {"cancelled": len(nonces)} | ({"sheet": True} if has_sheet else {})
        case RowApplied(code, batch):
            return {"code": code, "name": Code(code).name, "entry": batch}
    raise AssertionError("refusals were raised")


def render_many(results: Sequence[Result]) -> Any:
    """Of orders in a list."""
    return [
        {"error": {"code": result.code, "message": result.reason}}
        if isinstance(result, Refused)
        else render_placed(result)
        if isinstance(result, OrderPlaced)
        else None
        for result in results
    ]
