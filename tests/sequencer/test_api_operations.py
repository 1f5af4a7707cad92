"""Every operation of the exchange through the WebSocket: what a user sends, sees, and is told when it cannot be."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import open_websocket_url

from node.instruments import encode_instrument, encode_legs
from protocol.codes import Code
from protocol.operations import FEE_UNIT
from protocol.types import FILL_OR_KILL, POST_ONLY, REDUCE_ONLY, SCOPE_TRADE, SCOPE_WITHDRAW
from sequencer.events import Refusal, RowReceived, SheetReceived
from sequencer.methods import CHANNELS, Methods
from sequencer.submissions import Deployed
from tests.sequencer.test_api import Venue, ask, login, open_venue, order, request
from tests.sequencer.test_machine import MARK
from tests.sequencer.test_orders import SPREAD
from tests.sequencer.world import (
    ADDRESSES,
    CALL,
    CHAIN_ID,
    EXPIRY,
    FORWARD,
    START,
    USD,
    VAULT,
    build_authorize_event,
    build_bid_event,
    build_mark_event,
    build_order_event,
    build_pool_event,
    build_settle_event,
    build_sheet_event,
    build_withdraw_event,
)

NOW = START + 1
INVALID = -32602
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def call(socket: Any, method: str, params: Any = None) -> Any:
    """The result of a call that must succeed."""
    reply = await ask(socket, request(method, params))
    assert "result" in reply, reply
    return reply["result"]


async def refuse(socket: Any, method: str, params: Any = None) -> int:
    """The code of a call that must fail, and says why."""
    error = (await ask(socket, request(method, params)))["error"]
    assert len(error["message"]) > 8
    return int(error["code"])


async def listen(socket: Any, channel: str) -> Any:
    """The next notice, which must be of the channel."""
    with trio.fail_after(10):
        notice = json.loads(await socket.get_message())["params"]
    assert notice["channel"] == channel
    return notice["data"]


def get_hex(event: RowReceived | SheetReceived) -> str:
    return "0x" + (event.signatures if isinstance(event, RowReceived) else event.signature).hex()


async def test_every_method__is_on_its_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    async with open_venue(tmp_path) as venue:
        methods = Methods(venue.desk, Deployed(CHAIN_ID, VAULT, "devnet", 1)).table
    assert set(re.findall(r"`((?:public|private|straddle)/[a-z_]+)`", page)) == set(methods)
    assert all(f"`{channel}`" in page for channel in CHANNELS)


async def test_flags__are_signed_and_enforced(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:
        await call(socket, "private/sell", order(0, 0, 1))
        assert await refuse(socket, "private/buy", order(1, 1, 1, flags=POST_ONLY)) == Code.POST_ONLY
        assert await refuse(socket, "private/buy", order(1, 1, 1, lots=11, flags=FILL_OR_KILL)) == Code.FILL_OR_KILL
        assert await refuse(socket, "private/buy", order(1, 1, 1, flags=REDUCE_ONLY)) == Code.REDUCE_ONLY
        assert await refuse(socket, "private/buy", order(1, 1, 1, fee_cap=FEE_UNIT)) == Code.FEE
        unsigned = order(1, 1, 1) | {"reduce_only": True}
        assert await refuse(socket, "private/buy", unsigned) == Code.SIGNATURE
        assert await refuse(socket, "private/buy", order(1, 1, 1) | {"time_in_force": "whenever"}) == INVALID
        placed = await call(socket, "private/buy", order(1, 1, 1, lots=4, flags=FILL_OR_KILL, fee_cap=10 * USD))
        assert placed["order"]["order_state"] == "filled"
        assert 0 < placed["trades"][0]["fee"] <= 4 * 10 * USD


async def test_combo__is_named_listed_and_traded_as_one(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:
        name = encode_legs(SPREAD)
        ticker = await call(socket, "public/ticker", {"instrument_name": name})
        price = ticker["mark_price"]
        assert [leg["ratio"] for leg in ticker["legs"]] == [1, -1]
        await call(socket, "private/sell", order(0, 0, 1, price=price, legs=SPREAD))
        assert [combo["instrument_name"] for combo in await call(socket, "public/get_combos")] == [name]
        assert (await call(socket, "public/get_order_book", {"instrument_name": name}))["asks"] == [[price, 10]]
        placed = await call(socket, "private/buy", order(1, 1, 1, lots=6, price=price, legs=SPREAD))
        assert [(trade["instrument_name"], trade["amount"]) for trade in placed["trades"]] == [(name, 6)]
        await login(socket, 1)
        positions = await call(socket, "private/get_positions", {"account": 1})
        assert [position["size"] for position in positions] == [6, -6]
        for bad in ("-1" + name[1:], name + "," + name, ",".join(reversed(name.split(","))), name + ",1xBTC", "1x" * 40):
            assert await refuse(socket, "public/ticker", {"instrument_name": bad}) == Refusal.UNKNOWN_INSTRUMENT


async def test_rfq__asked_answered_and_taken(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as asker, open_websocket_url(venue.url) as maker:
        terms = {"account": 0, "instrument_name": encode_legs(SPREAD), "amount": 10, "valid_until": NOW + 60}
        assert await refuse(asker, "straddle/rfq", terms) == Refusal.UNAUTHENTICATED
        await login(asker, 0)
        await call(asker, "public/subscribe", {"channels": ["user.0"]})
        await call(maker, "public/subscribe", {"channels": ["rfqs"]})
        assert await refuse(asker, "straddle/rfq", terms | {"amount": 0}) == INVALID
        assert await refuse(asker, "straddle/rfq", terms | {"valid_until": NOW + 10_000}) == Code.EXPIRED
        opened = await call(asker, "straddle/rfq", terms)
        told = await listen(maker, "rfqs")
        assert told == opened
        assert "account" not in told
        price = (await call(maker, "public/ticker", {"instrument_name": told["instrument_name"]}))["mark_price"]
        answer = order(1, 0, 1, price=price + 20, legs=SPREAD, rfq=told["rfq_id"])
        assert (await call(maker, "private/sell", answer))["order"]["order_state"] == "open"
        quote = (await listen(asker, "user.0"))["quote"]
        assert (quote["rfq_id"], quote["order_id"], quote["price"], quote["direction"]) == (told["rfq_id"], "1-1", price + 20, "sell")
        shown = await call(asker, "straddle/get_rfq", {"account": 0, "rfq_id": told["rfq_id"]})
        assert shown["asks"] == [{"order_id": "1-1", "price": price + 20, "amount": 10}]
        assert await refuse(asker, "straddle/get_rfq", {"account": 0, "rfq_id": 99}) == Refusal.NOT_FOUND
        assert await refuse(maker, "straddle/get_rfq", {"account": 0, "rfq_id": told["rfq_id"]}) == Refusal.UNAUTHENTICATED
        await call(asker, "public/unsubscribe", {"channels": ["user.0"]})  # its own fill would be told before the answer
        taken = await call(asker, "private/buy", order(0, 1, 1, price=price + 20, legs=SPREAD, rfq=told["rfq_id"]))
        assert [(trade["maker_order_id"], trade["amount"]) for trade in taken["trades"]] == [("1-1", 10)]
        assert await refuse(maker, "private/sell", order(1, 0, 2, price=price, legs=SPREAD, rfq=99)) == Refusal.NOT_FOUND


def encode_sheet(event: SheetReceived) -> dict[str, Any]:
    names = ("strike", "option_type", "bid", "bid_amount", "ask", "ask_amount")
    pages = []
    for underlying, expiry, max_amount, quotes in event.pages:
        rendered = [dict(zip(names, (quote[0], "call" if quote[1] else "put", *quote[2:]), strict=True)) for quote in quotes]
        pages.append({"currency": ("BTC", "ETH")[underlying], "expiry": expiry, "max_amount": max_amount, "quotes": rendered})
    head = {"account": event.account, "nonce": event.nonce, "generation": event.generation, "valid_until": event.valid_until}
    return head | {"pages": pages, "signature": get_hex(event)}


def sheet(nonce: int, bid: int, ask: int, account: int = 0) -> dict[str, Any]:
    return encode_sheet(build_sheet_event(NOW, account, nonce, [(51_000 * USD, 1, bid, 20, ask, 30)]))


async def test_sheet__is_one_signature_and_the_next_one_takes_its_place(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:
        name = {"instrument_name": encode_instrument(CALL)}
        placed = await call(socket, "straddle/quotes", sheet(1, MARK - 50, MARK + 50))
        assert placed == {"nonce": 1, "quotes": 2, "dropped": []}
        await call(socket, "private/buy", order(1, 1, 1, lots=4, price=MARK + 50))
        assert await call(socket, "straddle/quotes", sheet(2, MARK - 90, MARK + 90)) == {"nonce": 2, "quotes": 2, "dropped": []}
        book = await call(socket, "public/get_order_book", name)
        assert (book["bids"], book["asks"]) == ([[MARK - 90, 20]], [[MARK + 90, 30]])
        assert await refuse(socket, "straddle/quotes", sheet(2, MARK - 90, MARK + 90)) == Code.NONCE
        assert await refuse(socket, "straddle/quotes", sheet(3, MARK - 90, MARK + 90) | {"nonce": 4}) == Code.SIGNATURE
        assert await refuse(socket, "straddle/quotes", sheet(1 << 65, MARK - 90, MARK + 90)) == Code.NONCE
        assert await refuse(socket, "straddle/quotes", sheet(3, MARK, MARK) | {"pages": sheet(3, MARK, MARK)["pages"] * 9}) == INVALID
        assert await refuse(socket, "straddle/quotes", sheet(3, MARK, MARK) | {"pages": []}) == INVALID
        crossing = await call(socket, "straddle/quotes", sheet(1, MARK + 90, MARK + 99, account=2))
        assert crossing["quotes"] == 1
        assert crossing["dropped"] == [name | {"direction": "buy", "code": Code.POST_ONLY, "name": "POST_ONLY"}]
        await login(socket, 0)
        assert (await call(socket, "private/get_account_summary", {"account": 0}))["sheet"]["nonce"] == 2
        assert await call(socket, "private/cancel_all", {"account": 0}) == {"cancelled": 0, "sheet": True}
        assert (await call(socket, "public/get_order_book", name))["bids"] == []


async def test_session_key__trades_for_the_account_until_it_is_revoked(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:

        def encode(event: RowReceived, key: int, scope: int) -> dict[str, Any]:
            terms = {"account": 0, "key": f"0x{ADDRESSES[key]:040x}", "scope": scope, "expiry": NOW + 600, "nonce": event.items[-1]}
            return terms | {"signature": get_hex(event)}

        good = build_authorize_event(NOW, 0, 7, SCOPE_TRADE, NOW + 600, 1)
        bad = build_authorize_event(NOW, 0, 7, 4, NOW + 600, 1)
        assert await refuse(socket, "straddle/authorize", encode(bad, 7, 4)) == Code.SCOPE
        assert await refuse(socket, "straddle/authorize", encode(good, 7, SCOPE_TRADE | SCOPE_WITHDRAW)) == Code.SIGNATURE
        assert await refuse(socket, "straddle/authorize", encode(good, 7, SCOPE_TRADE) | {"key": "0x7"}) == INVALID
        assert (await call(socket, "straddle/authorize", encode(good, 7, SCOPE_TRADE)))["name"] == "OK"
        account = await call(socket, "public/get_account", {"owner": f"0x{ADDRESSES[0]:040x}"})
        assert account["session"] == {"key": f"0x{ADDRESSES[7]:040x}", "scope": SCOPE_TRADE, "expiry": NOW + 600}
        await login(socket, 0, key=7)
        assert (await call(socket, "private/sell", order(0, 0, 1, generation=1, key=7)))["order"]["order_state"] == "open"
        withdrawal = build_withdraw_event(NOW, 0, USD, 2)
        foreign = {"account": 0, "amount": USD, "nonce": 2, "signature": get_hex(build_withdraw_event(NOW, 1, USD, 2))}
        assert await refuse(socket, "private/withdraw", foreign) == Code.SIGNATURE
        assert (await call(socket, "private/withdraw", foreign | {"signature": get_hex(withdrawal)}))["name"] == "OK"
        revoked = build_authorize_event(NOW, 0, -1, 0, 0, 3)
        assert (await call(socket, "straddle/revoke", {"account": 0, "nonce": 3, "signature": get_hex(revoked)}))["name"] == "OK"
        assert await refuse(socket, "private/sell", order(0, 0, 2, generation=2, key=7)) == Code.SIGNATURE
        assert await refuse(socket, "private/get_positions", {"account": 0}) == Refusal.UNAUTHENTICATED  # the login was the key's


async def make_weak(venue: Venue) -> None:
    """Account 0 sells more than it can hold when the market rises."""
    lots = 7_500
    orders = [build_order_event(NOW, 0, 0, MARK, lots, 1), build_order_event(NOW, 1, 1, MARK, lots, 1)]
    marks = [build_mark_event(START + 10 * at, START + 10 * at, START + 10 * (at - 1), FORWARD * (100 + 3 * at) // 100) for at in (1, 2, 3)]
    await venue.desk.submit([*orders, *marks])
    venue.elapsed = 30


async def test_auctions__are_listed_priced_and_bid_for(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket, open_websocket_url(venue.url) as watcher:
        assert await call(socket, "straddle/auctions") == []
        await make_weak(venue)
        await call(watcher, "public/subscribe", {"channels": ["auctions"]})
        (auction,) = await call(socket, "straddle/auctions")
        assert (auction["account"], auction["marks"], auction["discount_percent"]) == (0, 0, 0)
        assert auction["equity"] < auction["maintenance_margin"]
        name = encode_instrument(CALL)
        assert auction["positions"] == [{"instrument_name": name, "size": -7_500}]
        assert await call(socket, "straddle/auctions", {"start": 1}) == []
        assert await refuse(socket, "straddle/auctions", {"count": 1_000}) == INVALID
        legs = [{"instrument_name": name, "ratio": -1}]
        quote = await call(socket, "straddle/auction_price", {"target": 0, "legs": legs})
        assert await refuse(socket, "straddle/auction_price", {"target": 1, "legs": legs}) == Code.NOT_FLAGGED
        price = quote["price"]
        assert price < 0  # who takes a short position is paid

        def encode(event: RowReceived, limit: int) -> dict[str, Any]:
            terms = {"account": 2, "target": 0, "legs": legs, "amount": 50, "limit": limit, "nonce": 1}
            return terms | {"valid_until": event.items[6], "signature": get_hex(event)}

        low = build_bid_event(START + 31, 2, 0, [(CALL, -1)], 50, price - 1, 1)
        assert await refuse(socket, "straddle/bid", encode(low, price - 1)) == Code.LIMIT
        good = build_bid_event(START + 31, 2, 0, [(CALL, -1)], 50, price, 1)
        assert await refuse(socket, "straddle/bid", encode(good, price + 1)) == Code.SIGNATURE
        assert await refuse(socket, "straddle/bid", encode(good, price) | {"legs": []}) == INVALID
        assert await refuse(socket, "straddle/bid", encode(good, price) | {"legs": [{"instrument_name": "X", "ratio": 1}]}) == -32016
        assert (await call(socket, "straddle/bid", encode(good, price)))["name"] == "OK"
        assert await listen(watcher, "auctions") == {"account": 2, "target": 0, "amount": 50}
        assert (await call(socket, "straddle/auctions"))[0]["positions"][0]["size"] == 50 - 7_500


async def test_pool__is_entered_and_left_by_requests(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:
        before = await call(socket, "straddle/pool")
        assert (before["cash"], before["shares"], before["requests"]) == (0, 0, 0)
        enter = {"account": 0, "amount": 100 * USD, "nonce": 1, "signature": get_hex(build_pool_event(NOW, 0, 100 * USD, 1))}
        assert await refuse(socket, "straddle/leave_pool", enter) == Code.SIGNATURE  # what was signed is the other way
        assert (await call(socket, "straddle/enter_pool", enter))["name"] == "OK"
        assert (await call(socket, "straddle/pool"))["requests"] == 1
        again = {"account": 0, "amount": 100 * USD, "nonce": 2, "signature": get_hex(build_pool_event(NOW, 0, 100 * USD, 2))}
        assert await refuse(socket, "straddle/enter_pool", again) == Code.POOL
        now = NOW + venue.desk.machine.rules.params.pool_delay_s
        await venue.desk.submit([build_mark_event(now, now, START)])
        await login(socket, 0)
        summary = await call(socket, "private/get_account_summary", {"account": 0})
        assert (summary["pool_shares"], summary["pool_request"]) == (100 * USD, None)
        assert (await call(socket, "straddle/pool"))["shares"] == 100 * USD


async def test_settlement__is_submitted_by_the_oracles_and_told_to_all(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket, open_websocket_url(venue.url) as watcher:
        await call(watcher, "public/subscribe", {"channels": ["settlements"]})

        def encode(event: RowReceived) -> dict[str, Any]:
            return {"items": [str(item) for item in event.items], "signatures": get_hex(event)}

        signed = encode(build_settle_event(NOW, EXPIRY, 52_000 * USD))
        assert await refuse(socket, "straddle/submit_settle", signed) == Code.SETTLE_TIME
        assert await refuse(socket, "straddle/submit_settle", encode(build_mark_event(NOW, NOW, START))) == INVALID
        assert await refuse(socket, "straddle/submit_settle", signed | {"signatures": "0x00"}) == INVALID
        venue.elapsed = EXPIRY - NOW
        instruments = await call(socket, "public/get_instruments", {"currency": "BTC"})
        assert instruments[0]["expiration_timestamp"] == EXPIRY
        assert await refuse(socket, "straddle/submit_settle", signed | {"signatures": "0x" + "00" * 130}) == Code.QUORUM
        assert (await call(socket, "straddle/submit_settle", signed))["name"] == "OK"
        told = await listen(watcher, "settlements")
        assert told == {"currency": "BTC", "expiration_timestamp": EXPIRY, "delivery_price": 52_000 * USD}
        assert await call(socket, "public/get_instruments", {"currency": "BTC"}) == []
        status = await call(socket, "public/status")
        assert (status["shutdown"], status["is_settled"]) == (None, False)
