"""The actors' daemons against a served sequencer: what they send is taken, and has the effect that it should have."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from l1.deploy import Deployment
from protocol.types import Market
from sequencer.events import MarkApplied
from sim.actors.config import Actor, LiquidatorConfig, MakersConfig
from sim.actors.roles import LiquidatorDaemon, MakersDaemon, OracleDaemon
from sim.actors.runtime import Scene
from sim.actors.trader import Trader
from sim.client import open_session
from sim.market.source import Book
from tests.sequencer.test_api import Venue, open_venue
from tests.sequencer.test_api_operations import make_weak
from tests.sequencer.test_machine import MARK
from tests.sequencer.world import (
    ADDRESSES,
    CALL,
    CHAIN_ID,
    DOMAIN,
    EXPIRY,
    FORWARD,
    KEYS,
    ORACLES,
    PLAIN,
    START,
    USD,
    VAULT,
    build_cancel_event,
    build_market,
    build_order_event,
)

NOW = START + 1
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Still:
    """A source that says what it is given."""

    def __init__(self) -> None:
        self.books: list[Book] = [Book(CALL, MARK - 50, 20, MARK + 50, 30)]
        self.market = build_market(START)

    def advance(self, now: int) -> bool:
        self.market = self.market._replace(mark_time=now, slices=tuple(item for item in self.market.slices if item.expiry > now))
        return True

    def get_markets(self) -> dict[int, Market]:
        return {0: self.market}

    def get_books(self) -> list[Book]:
        return self.books


@asynccontextmanager
async def open_stage(path: Path, config: Actor) -> AsyncIterator[tuple[Venue, Scene, Still, list[tuple[str, dict[str, Any]]]]]:
    oracles = tuple(ADDRESSES[place] for place in ORACLES)
    deployment = Deployment(CHAIN_ID, "devnet", 1, 0, oracles, bytes(32), 0, {"Vault": VAULT})
    log: list[tuple[str, dict[str, Any]]] = []
    source = Still()

    def note(event: str, fields: dict[str, Any]) -> None:
        log.append((event, fields))

    async with open_venue(path) as venue, trio.open_nursery() as nursery:
        session = await open_session(nursery, venue.url)
        yield venue, Scene(config, deployment, session, source, note), source, log
        nursery.cancel_scope.cancel()


async def open_trader(scene: Scene, account: int) -> Trader:
    trader = Trader(KEYS[account], DOMAIN, account)
    challenge = (await scene.session.call("public/get_challenge"))["challenge"]
    await scene.session.call(*trader.sign_login(challenge, CHAIN_ID, VAULT))
    return trader


async def test_makers__quote_by_sheets__and_only_anew_when_something_changed(tmp_path: Path) -> None:
    config = MakersConfig()
    async with open_stage(tmp_path, config) as (venue, scene, source, _):
        book, state = venue.desk.machine.book, venue.desk.machine.state
        daemon = MakersDaemon(scene, [await open_trader(scene, 0)], config)
        sheets = venue.desk.machine.matcher.sheets.by_account
        await daemon.tick(NOW)
        assert (book.get_depth(PLAIN, 1, 5), book.get_depth(PLAIN, 0, 5)) == ([(MARK - 50, 20)], [(MARK + 50, 30)])
        await daemon.tick(NOW)
        assert sheets[0].nonce == 1  # it still stands
        await venue.desk.submit([build_order_event(NOW, 1, 1, MARK + 50, 30, 1)])
        assert state.get_account(0).positions == ((CALL, -30),)
        await daemon.tick(NOW)
        assert (sheets[0].nonce, book.get_depth(PLAIN, 0, 5)) == (2, [(MARK + 50, 30)])  # mostly filled: anew
        await venue.desk.submit([build_cancel_event(NOW, 0, 1)])
        assert not sheets
        await daemon.tick(NOW)  # refused for its generation, and told the new one
        await daemon.tick(NOW)
        assert sheets[0].generation == 1
        source.books = []
        await daemon.tick(NOW)
        assert not book.orders


async def test_liquidator__takes_what_is_up_for_auction__as_much_as_the_rules_let_it(tmp_path: Path) -> None:
    config = LiquidatorConfig(discount=0.0)
    async with open_stage(tmp_path, config) as (venue, scene, _, log):
        daemon = LiquidatorDaemon(scene, await open_trader(scene, 2), config)
        await daemon.tick(NOW)
        assert log == []
        await make_weak(venue)
        await LiquidatorDaemon(scene, await open_trader(scene, 2), LiquidatorConfig(discount=1.0)).tick(START + 31)
        assert log == []  # the discount has only begun to grow
        await daemon.tick(START + 31)
        state = venue.desk.machine.state
        ((_, lots),) = state.get_account(2).positions
        assert lots < 0
        assert state.get_account(0).positions == ((CALL, -7_500 - lots),)
        assert [(event, fields["lots"]) for event, fields in log] == [("bid.taken", lots)]


async def test_oracle__marks_and_at_expiry_settles__with_a_quorum(tmp_path: Path) -> None:
    async with open_stage(tmp_path, Actor()) as (venue, scene, source, log):
        told: list[object] = []
        venue.desk.on_news = told.append
        daemon = OracleDaemon(scene, [KEYS[place] for place in ORACLES[:2]])
        await daemon.start()
        (item,) = source.market.slices
        source.market = source.market._replace(slices=(item, item._replace(expiry=EXPIRY + 86_400)))
        for ago, index in ((1_000, FORWARD), (500, FORWARD + 1_000 * USD)):
            source.market = source.market._replace(index_price=index)
            venue.elapsed = EXPIRY - ago - NOW
            source.advance(EXPIRY - ago)
            await daemon.tick(EXPIRY - ago)
        assert [news.underlying for news in told if isinstance(news, MarkApplied)] == [0, 0]
        venue.elapsed = EXPIRY + 3 - NOW
        source.advance(EXPIRY + 3)
        await daemon.tick(EXPIRY + 3)
        assert ("settle.taken", {"underlying": "BTC", "expiry": EXPIRY, "price": FORWARD + 500 * USD}) in log
        assert [item.expiry for item in venue.desk.machine.state.markets[0].slices] == [EXPIRY + 86_400]
