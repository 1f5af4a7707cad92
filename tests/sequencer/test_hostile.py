"""Clients that want the sequencer to stop: depth, bytes that are no text, connections that are torn down, orders that come and go."""

import json
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import open_websocket_url

from node.instruments import encode_instrument, encode_legs
from protocol.codec.frames import Message
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.legs import pack_plain
from protocol.operations import build_deposit, build_trade
from protocol.series import encode_series
from protocol.types import VAULT_AUTHORITY
from sequencer import accounts, views
from sequencer.api import FULL_BYTES, MAX_ANSWER_BYTES, ApiLimits
from sequencer.desk import MAX_PENDING, MAX_WAITING
from sequencer.events import CancelReceived, ClockElapsed, L1Undone, MessagesQueued, OrderPlaced, Refusal, Refused, RowApplied
from sequencer.machine import MAX_FREE
from sequencer.matching import MAX_CROSSINGS
from sequencer.rpc import MAX_BATCH
from tests.sequencer.test_api import Venue, ask, encode_order, login, open_venue, order, request
from tests.sequencer.test_api_operations import encode_sheet
from tests.sequencer.test_machine import MARK
from tests.sequencer.world import (
    ADDRESSES,
    EXPIRY,
    START,
    USD,
    World,
    build_cancel_event,
    build_deposits,
    build_mark_event,
    build_order_event,
    build_sheet_event,
)

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DEEP = "[" * 200_000 + "]" * 200_000
NESTED = '{"jsonrpc":"2.0","id":1,"method":"public/get_time","params":' + DEEP + "}"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize("message", [DEEP, "[" * 400_000, NESTED, b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', b"\xff\xfe", ""])
async def test_what_is_no_request_is_refused_and_nobody_else_notices(tmp_path: Path, message: str | bytes) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:
        await client.send_message(message)
        with trio.fail_after(10):
            reply = json.loads(await client.get_message())
        assert reply["error"]["code"] in (-32700, -32600)
        assert "result" in await ask(client, request("public/status"))


def tear_down(port: int, data: bytes) -> None:
    """Says something and resets the connection at once."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sendall(data)


@pytest.mark.parametrize("connections", [1, 64])
async def test_connections_that_are_reset_in_their_handshake_harm_nobody(tmp_path: Path, connections: int) -> None:
    async with open_venue(tmp_path, ApiLimits(connections=connections)) as venue, open_websocket_url(venue.url) as client:
        port = int(venue.url.rpartition(":")[2])
        for data in (HANDSHAKE, HANDSHAKE[:40], b"\x00" * 100, HANDSHAKE + b"\xff" * 50):
            for _ in range(20):
                tear_down(port, data)
            await trio.sleep(0.05)
        assert "result" in await ask(client, request("public/status"))


async def test_clients_that_leave_before_their_answer_use_up_nothing(tmp_path: Path) -> None:
    """Each leaves while its orders wait for the disk: what was counted as waiting must not stay so."""
    async with open_venue(tmp_path) as venue:
        for number in range(8):
            with trio.CancelScope() as scope:
                answers = venue.desk.take([build_order_event(START + 1, 0, 0, MARK, 1, number + 1)])
                scope.cancel()
                await answers()
            assert scope.cancelled_caught
        await venue.desk.submit([build_order_event(START + 1, 0, 0, MARK, 1, 100)])
        assert venue.desk.waiting == 0 < MAX_WAITING


async def test_an_order_of_a_dropped_session_still_counts(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue:
        async with open_websocket_url(venue.url) as client:
            await client.send_message(json.dumps(request("private/sell", order(0, 0, 1))))
        async with open_websocket_url(venue.url) as client:
            with trio.fail_after(10):
                for _ in range(100):
                    reply = await ask(client, request("public/get_order_book", get_book()))
                    if reply["result"]["asks"]:
                        return
                    await trio.sleep(0.02)
                raise AssertionError("the order is lost")


def get_book() -> dict[str, Any]:
    return {"instrument_name": encode_order(build_order_event(START + 1, 0, 0, MARK, 1, 1))["instrument_name"]}


def test_orders_that_come_and_go_leave_nothing_behind() -> None:
    """They are free of charge, so memory must not follow their number."""
    world = World()
    world.open()
    for nonce in range(1, 3_000):
        series = encode_series(0, EXPIRY, (20_000 + nonce) * USD, 1)
        placed = world.ask(build_order_event(START, 0, 0, MARK, 1, nonce, valid_s=10**9, series=series))
        assert isinstance(placed, OrderPlaced), placed
        world.apply(CancelReceived(START, 1, 0, (nonce,)))
    assert not world.machine.book.orders
    assert world.machine.book.held <= 1_100


async def test_an_account_that_a_reorganisation_gives_to_somebody_else_is_logged_out(tmp_path: Path) -> None:
    """Indices follow the order of deposits on L1."""
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:
        await login(client, 0)
        await ask(client, request("public/subscribe", {"channels": ["user.0"]}))
        assert "result" in await ask(client, request("private/get_positions", {"account": 0}))
        swapped = build_deposits(4, 1_000_000 * USD, START + 1)
        first = Message(START + 1, VAULT_AUTHORITY, encode_row(build_deposit(0, ADDRESSES[1], 10**12)), b"")
        await venue.desk.submit([L1Undone(START + 1, 0, 0), MessagesQueued(START + 1, 0, (first, *swapped[2:]))])
        await venue.desk.submit([ClockElapsed(START + 20), ClockElapsed(START + 40)])
        assert venue.desk.machine.state.get_account(0).owner == ADDRESSES[1]
        for method in ("private/get_positions", "private/get_account_summary", "private/get_open_orders"):
            reply = await ask(client, request(method, {"account": 0}))
            assert reply["error"]["code"] == Refusal.UNAUTHENTICATED
        reply = await ask(client, request("private/cancel", {"order_id": "0-1"}))
        assert reply["error"]["code"] == Refusal.UNAUTHENTICATED


async def test_a_message_that_asks_for_too_much_is_answered_in_part(tmp_path: Path) -> None:
    """A few bytes that are answered with many must not hold up everybody's orders."""
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url, max_message_size=32 << 20) as client:
        full = await ask(client, request("public/get_instruments"))
        replies = await ask(client, [request("public/get_instruments")] * MAX_BATCH)
        assert replies[0] == full
        assert replies[-1]["error"]["code"] == Refusal.TOO_MANY
        answered = [reply for reply in replies if "result" in reply]
        assert len(answered) < MAX_ANSWER_BYTES // 9_000


async def test_accounts_are_found_by_their_owner_also_after_a_reorganisation(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:

        async def find(owner: int) -> Any:
            reply = await ask(client, request("public/get_account", {"owner": f"0x{owner:040x}"}))
            return reply["result"]["account"] if "result" in reply else reply["error"]["code"]

        assert [await find(owner) for owner in ADDRESSES[:5]] == [0, 1, 2, 3, Code.ACCOUNT]
        rows = [encode_row(build_deposit(index, owner, 10**12)) for index, owner in enumerate((ADDRESSES[4], ADDRESSES[1]))]
        messages = tuple(Message(START + 1, VAULT_AUTHORITY, row, b"") for row in rows)
        await venue.desk.submit([L1Undone(START + 1, 0, 0), MessagesQueued(START + 1, 0, messages)])
        await venue.desk.submit([ClockElapsed(START + 20), ClockElapsed(START + 40)])
        assert [await find(owner) for owner in ADDRESSES[:5]] == [Code.ACCOUNT, 1, Code.ACCOUNT, Code.ACCOUNT, 0]


@pytest.mark.parametrize("expiry", [0, 1, 4_102_444_800, 2**40 - 1])
async def test_a_sheet_whose_expiry_has_no_name_is_refused(tmp_path: Path, expiry: int) -> None:
    """The answer would have to name it."""
    quote = (51_000 * USD, 1, 100, 5, 200, 5)
    sheet = encode_sheet(build_sheet_event(START + 1, 0, 1, (), pages=((0, expiry, 100, (quote,)),)))
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:
        assert (await ask(client, request("straddle/quotes", sheet)))["error"]["code"] == Refusal.UNKNOWN_INSTRUMENT
        empty = encode_sheet(build_sheet_event(START + 1, 0, 1, (), pages=((0, max(expiry, 1), 0, ()),)))
        reply = await ask(client, request("straddle/quotes", empty))
        assert reply.get("result", {}).get("quotes") == 0, reply
        assert "result" in await ask(client, request("public/status"))


async def test_an_answer_that_cannot_be_written_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(accounts, "view_pool", fail)
    monkeypatch.setattr("sequencer.submissions.render_placed", fail)
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:
        assert (await ask(client, request("straddle/pool")))["error"]["code"] == -32603
        assert (await ask(client, request("private/sell", order(0, 0, 1))))["error"]["code"] == -32603
        assert (await ask(client, request("public/get_order_book", get_book())))["result"]["asks"], "it was done"
        assert [event for event, _ in venue.log] == ["api.failed"] * 2


async def test_answers_that_nobody_reads_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message asks for megabytes: memory must not follow their number."""
    made = 0
    view = views.view_instrument

    def count(*args: Any) -> dict[str, Any]:
        nonlocal made
        result = view(*args)
        made += len(json.dumps(result))
        return result

    monkeypatch.setattr(views, "view_instrument", count)
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url, max_message_size=32 << 20) as client:
        message = json.dumps([request("public/get_instruments")] * 100)
        with trio.move_on_after(3):
            for _ in range(100):
                await client.send_message(message)
        stopped = made
        await trio.sleep(0.5)
        assert made == stopped
        assert FULL_BYTES < made < 5 * MAX_ANSWER_BYTES, "sockets hold some, too"
        async with open_websocket_url(venue.url) as other:
            assert "result" in await ask(other, request("public/status"))


async def hold_many(venue: Venue) -> None:
    """Account 0 gets positions in many series."""
    for number in range(40):
        series = encode_series(0, EXPIRY, (40_000 + 500 * number) * USD, 1)
        mark = views.view_ticker(venue.desk.machine, pack_plain(series))["mark_price"]
        orders = [build_order_event(START + 1, at, 1 - at, mark, 1, number + 1, series=series) for at in (1, 0)]
        await venue.desk.submit(orders)
    assert len(venue.desk.machine.state.get_account(0).positions) == 40


async def test_dear_questions_do_not_hold_up_cheap_ones(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url, max_message_size=32 << 20) as asker:
        await hold_many(venue)
        await login(asker, 0)
        async with open_websocket_url(venue.url) as other:
            await asker.send_message(json.dumps([request("private/get_account_summary", {"account": 0})] * MAX_BATCH))
            await trio.sleep(0.05)
            with trio.fail_after(0.5):  # all of the other answers take longer
                await ask(other, request("public/status"))
        replies = json.loads(await asker.get_message())
        assert all(reply["result"]["account"] == 0 for reply in replies)


async def test_thousands_of_tickers_hold_up_nobody(tmp_path: Path) -> None:
    """After a mark; who wants one does not wait for those who want many."""

    def name(number: int) -> str:
        legs = [encode_instrument(encode_series(0, EXPIRY, (30_000 + number * 4 + at) * USD, 1)) for at in range(4)]
        return "ticker." + ",".join(f"{at + 1}x{leg}" for at, leg in enumerate(legs))

    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as many, open_websocket_url(venue.url) as one:
        for first in range(0, 256, 64):
            reply = await ask(many, request("public/subscribe", {"channels": [name(number) for number in range(first, first + 64)]}))
            assert "result" in reply
        plain = "ticker." + encode_legs(pack_plain(encode_series(0, EXPIRY, 51_000 * USD, 1)))
        await ask(one, request("public/subscribe", {"channels": [plain]}))
        venue.elapsed = 29
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                told = 0

                async def listen() -> None:
                    nonlocal told
                    while told < 256:
                        await many.get_message()
                        told += 1

                nursery.start_soon(listen)
                await venue.desk.submit([build_mark_event(START + 30, START + 30, START, request=1)])
                assert json.loads(await one.get_message())["params"]["channel"] == plain
                assert told < 50


async def test_orders_and_trades_are_not_for_strangers_to_post(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:
        await venue.desk.submit([build_order_event(START + 1, at, at, MARK, 10 - at, 1) for at in (0, 1)])
        items = [str(item) for item in build_trade(0, 1, 1, 1, 1)]
        reply = await ask(client, request("straddle/submit_row", {"items": items}))
        assert reply["error"]["code"] == -32602


def test_what_is_posted_free_of_charge_is_bounded() -> None:
    """Signed cancels cost their sender nothing, and the sequencer calldata."""
    world = World()
    world.open()
    results = [world.ask(build_cancel_event(START, 0, nonce)) for nonce in range(1, 40)]
    assert [result for result in results if isinstance(result, RowApplied)] == results[:MAX_FREE]
    assert {result.code for result in results[MAX_FREE:] if isinstance(result, Refused)} == {Refusal.TOO_MANY}
    assert isinstance(world.ask(build_cancel_event(START, 1, 1)), RowApplied), "others are not concerned"
    world.apply(ClockElapsed(START + 10))
    assert isinstance(world.ask(build_cancel_event(START + 10, 0, 40)), RowApplied)


async def test_while_l1_takes_nothing__risk_may_be_taken_away_and_no_more_is_promised(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as client:
        await login(client, 0)
        await ask(client, request("private/sell", order(0, 0, 1)))
        for number in range(MAX_PENDING):
            venue.elapsed += 10
            now = START + 1 + venue.elapsed
            await venue.desk.submit([build_cancel_event(now, 1, number + 1), ClockElapsed(now + 5)])
        assert (await ask(client, request("public/status")))["result"]["pending_batches"] >= MAX_PENDING
        market = venue.desk.machine.state.markets[0]
        mark = build_mark_event(now, now, market.mark_time)
        replies = await ask(
            client,
            [
                request("private/sell", order(0, 0, 2)),
                request("private/cancel", {"order_id": "0-1"}),
                request("straddle/submit_mark", {"items": [str(item) for item in mark.items], "signatures": mark.signatures.hex()}),
            ],
        )
        assert replies[0]["error"]["code"] == Refusal.UNAVAILABLE
        assert replies[1]["result"] == {"cancelled": 1}
        assert replies[2]["result"]["name"] == "OK"


def test_an_order_that_meets_a_thousand_without_margin_does_not_take_all_the_time() -> None:
    """They cost nothing to rest; each that is met is gone."""
    world = World()
    deposits = [encode_row(build_deposit(index, ADDRESSES[index], 20 * USD if index else 10**12)) for index in range(5)]
    world.queue(START, tuple(Message(START, VAULT_AUTHORITY, row, b"") for row in deposits))
    world.apply(build_mark_event(START, START, 0))
    for account in range(1, 5):
        for nonce in range(1, 257):
            assert isinstance(world.ask(build_order_event(START, account, 0, MARK, 1_000, nonce)), OrderPlaced)
    for taken in range(1, 5):
        placed = world.ask(build_order_event(START, 0, 1, MARK, 10, taken))
        assert isinstance(placed, OrderPlaced)
        assert (placed.code, placed.left, placed.fills) == (Refusal.TOO_MANY, 0, ())
        assert len(world.machine.book.orders) == 1_024 - taken * MAX_CROSSINGS
    placed = world.ask(build_order_event(START, 0, 1, MARK, 10, 5))
    assert isinstance(placed, OrderPlaced)
    assert placed.left == 10


async def test_sockets_that_only_stand_there_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_venue(tmp_path, ApiLimits(connections=2)) as venue, open_websocket_url(venue.url) as trader:
        await login(trader, 0)
        port = int(venue.url.rpartition(":")[2])
        async with await trio.open_tcp_stream("127.0.0.1", port) as idle, await trio.open_tcp_stream("127.0.0.1", port) as late:
            await idle.send_all(HANDSHAKE)
            assert b" 101 " in await idle.receive_some()
            await late.send_all(HANDSHAKE)
            assert b" 503 " in await late.receive_some()
            monkeypatch.setattr("sequencer.api.SILENT_S", 0.0)
            async with open_websocket_url(venue.url) as other:
                assert "result" in await ask(other, request("public/status"))
                assert b"silent while others waited for a place" in await idle.receive_some()
                assert "result" in await ask(trader, request("private/get_positions", {"account": 0})), "who is logged in stays"
