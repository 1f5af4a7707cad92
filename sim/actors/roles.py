"""The roles as daemons: their machines, driven by the clock and by the sequencer's answers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import trio
from coincurve import PrivateKey

from node.errors import NodeCode, NodeError
from node.instruments import encode_instrument
from protocol.codes import Code
from protocol.operations import build_mark, build_settle
from protocol.signing import compute_mark_digest, compute_settle_digest
from protocol.types import UNDERLYINGS
from sim.actors.config import LiquidatorConfig, MakersConfig, OracleConfig, TakersConfig, load_keys
from sim.actors.liquidator import TOO_MUCH, VALID_S, choose_lot, open_bid
from sim.actors.makers import Desk, Pages, Resting, choose_books, choose_sheets
from sim.actors.oracle import (
    MarketsRead,
    MarkRefused,
    MarkTaken,
    Oracle,
    SettleAnswered,
    SubmitMark,
    SubmitSettle,
    advance,
)
from sim.actors.runtime import Scene, open_scene, open_traders, place, refresh
from sim.actors.takers import Flow
from sim.actors.trader import Trader
from sim.client import CallRefused
from sim.scribe import get_address, sign

Status = trio.TaskStatus[Mapping[str, Any]]
REPORT_TICKS = 20  # between two lines of the log


class OracleDaemon:
    """Holds the keys of a whole quorum: in a simulation one process may."""

    def __init__(self, scene: Scene, keys: list[PrivateKey]) -> None:
        self._scene = scene
        self._keys = keys
        self._oracle = Oracle(scene.deployment.params.mark_gap_s)

    def sign(self, mark: SubmitMark | SubmitSettle) -> tuple[tuple[int, ...], bytes]:
        """Items of the row, and one signature of each key."""
        if isinstance(mark, SubmitSettle):
            digest = compute_settle_digest(self._scene.deployment.rules.domain, *mark.listing, mark.price)
            return build_settle(*mark.listing, mark.price), b"".join(sign(key, digest) for key in self._keys)
        market = mark.market
        row = build_mark(mark.underlying, mark.previous, market)
        domain = self._scene.deployment.rules.domain
        digest = compute_mark_digest(domain, mark.underlying, mark.previous, market.mark_time, market.index_price, row[5:])
        return row, b"".join(sign(key, digest) for key in self._keys)

    async def start(self) -> None:
        """Names the last marks, if there were any."""
        self._oracle = Oracle(self._oracle.gap_s, await self._get_mark_times())

    async def tick(self, now: int) -> None:
        """One mark of each underlying that is due, and settlements of what has expired."""
        self._oracle, effects = advance(self._oracle, MarketsRead(now, self._scene.source.get_markets()))
        async with trio.open_nursery() as nursery:
            for effect in effects:
                if isinstance(effect, SubmitSettle):
                    nursery.start_soon(self._submit_settle, effect)
                else:
                    nursery.start_soon(self._submit, effect)

    def _encode(self, effect: SubmitMark | SubmitSettle) -> dict[str, Any]:
        row, signatures = self.sign(effect)
        return {"items": [str(item) for item in row], "signatures": "0x" + signatures.hex()}

    async def _submit_settle(self, settle: SubmitSettle) -> None:
        underlying, expiry = settle.listing
        shown = {"underlying": UNDERLYINGS[underlying], "expiry": expiry, "price": settle.price}
        code: int = Code.OK
        try:
            await self._scene.session.call("straddle/submit_settle", self._encode(settle))
            self._scene.log("settle.taken", shown)
        except CallRefused as error:
            code = error.code
            self._scene.log("settle.refused", shown | {"code": code, "error": error.message})
        self._oracle, _ = advance(self._oracle, SettleAnswered(settle.listing, code))

    async def _submit(self, mark: SubmitMark) -> None:
        event: MarkTaken | MarkRefused = MarkTaken(mark.underlying, mark.market.mark_time)
        try:
            await self._scene.session.call("straddle/submit_mark", self._encode(mark))
        except CallRefused as error:
            self._scene.log("mark.refused", {"underlying": UNDERLYINGS[mark.underlying], "code": error.code, "error": error.message})
            last = (await self._get_mark_times()).get(mark.underlying, 0)
            event = MarkRefused(mark.underlying, error.code, last)
        self._oracle, _ = advance(self._oracle, event)

    async def _get_mark_times(self) -> dict[int, int]:
        times = (await self._scene.session.call("public/status"))["mark_times"]
        return {of: times[name] for of, name in enumerate(UNDERLYINGS)}


def pick_quorum(scene: Scene, keys: list[PrivateKey]) -> list[PrivateKey]:
    """In the deployment's order. Raises `NodeError` if too few of them are its oracles'."""
    order = {oracle: place for place, oracle in enumerate(scene.deployment.oracles)}
    known = sorted((key for key in keys if get_address(key) in order), key=lambda key: order[get_address(key)])
    quorum = scene.deployment.params.quorum
    if len(known) < quorum:
        raise NodeError(NodeCode.KEY, f"{len(known)} of the keys are oracles of this deployment, a quorum is {quorum}")
    return known[:quorum]


async def run_oracle(config: OracleConfig, *, task_status: Status = trio.TASK_STATUS_IGNORED) -> None:
    """Signs marks until cancelled."""
    async with trio.open_nursery() as nursery:
        scene = await open_scene(nursery, "oracle", config)
        daemon = OracleDaemon(scene, pick_quorum(scene, [PrivateKey(key.secret) for key in load_keys(config)]))
        await daemon.start()
        task_status.started({})
        await scene.run_ticks(daemon.tick)


class MakersDaemon:
    """All makers' accounts in one process."""

    def __init__(self, scene: Scene, traders: list[Trader], config: MakersConfig) -> None:
        self._scene = scene
        self._traders = {trader.index: trader for trader in traders}
        self._desk = Desk(tuple(self._traders), config.series, config.max_lots)
        self._life_s = scene.deployment.params.sheet_life_s
        self._ahead_s = min(round(2 * config.every_s * scene.speed), self._life_s // 2)  # a sheet must last beyond the next tick
        self._placed: dict[int, tuple[int, Resting]] = {}  # account -> nonce and content of its last sheet
        self._counts: Counter[str] = Counter()
        self._ticks = 0

    async def tick(self, now: int) -> None:
        """What is left of the sheets is asked for, what is wanted is computed, and sheets that differ too much are replaced."""
        resting = await self._ask_resting()
        wanted = choose_sheets(self._desk, now + self._ahead_s, self._scene.source.get_books(), resting)
        if wanted:
            await self._place(now + self._life_s, wanted)
        self._ticks += 1
        if self._ticks % REPORT_TICKS == 0:
            self._scene.log("makers.quotes", dict(self._counts))

    async def _ask_resting(self) -> dict[int, Resting]:
        calls = [("private/get_account_summary", {"account": index}) for index in self._traders]
        shown = {summary["account"]: summary["sheet"] for summary in await self._scene.session.call_many(calls)}
        return {
            account: Resting(placed.pages, tuple(shown[account]["left"]), placed.valid_until)
            for account, (nonce, placed) in self._placed.items()
            if shown[account] is not None and shown[account]["nonce"] == nonce
        }

    async def _place(self, valid_until: int, wanted: Mapping[int, Pages]) -> None:
        calls = [self._traders[account].sign_sheet(pages, valid_until) for account, pages in wanted.items()]
        answers = await self._scene.session.call_many(calls)
        for (account, pages), (_, params), answer in zip(wanted.items(), calls, answers, strict=True):
            if isinstance(answer, CallRefused):
                self._counts[name_code(answer.code)] += 1
                await self._recover(self._traders[account], answer.code)
                continue
            self._placed[account] = params["nonce"], Resting(pages, (), valid_until)
            self._counts["sheets"] += 1
            self._counts["quotes"] += answer["quotes"]
            self._counts["dropped"] += len(answer["dropped"])

    async def _recover(self, trader: Trader, code: int) -> None:
        if code == Code.GENERATION:
            await refresh(self._scene.session, trader)
        elif code == Code.NONCE:
            trader.skip_nonces()


def name_code(code: int) -> str:
    """For the log: the name of a rule's code, or a number."""
    return Code(code).name.lower() if code in set(Code) else str(code)


def name_outcome(answer: Any) -> str:
    """For the log: open, filled, cancelled, or the name of the code."""
    if "error" in answer:
        return name_code(answer["error"]["code"])
    return str(answer["order"]["order_state"])


async def run_makers(config: MakersConfig, *, task_status: Status = trio.TASK_STATUS_IGNORED) -> None:
    """Quotes until cancelled."""
    async with trio.open_nursery() as nursery:
        scene = await open_scene(nursery, "makers", config)
        traders = await open_traders(scene, config)
        task_status.started({"accounts": [trader.index for trader in traders]})
        await scene.run_ticks(MakersDaemon(scene, traders, config).tick)


class TakersDaemon:
    """All takers' accounts in one process. The flow is synthetic."""

    def __init__(self, scene: Scene, traders: list[Trader], config: TakersConfig) -> None:
        self._scene = scene
        self._config = config
        self._traders = {trader.index: trader for trader in traders}
        self._saver = traders[0]
        self._flow = Flow(config.seed, tuple(self._traders), config.rate)
        self._codes: Counter[str] = Counter()
        self._last = trio.current_time()
        self._ticks = 0
        self._has_withdrawn = config.withdraw == 0

    async def tick(self, now: int) -> None:
        """The orders that are due, and once a withdrawal."""
        wall = trio.current_time()
        books = choose_books(self._scene.source.get_books(), self._config.series)
        takes = self._flow.draw(now, wall - self._last, books, self._scene.speed)
        self._last = wall
        for answer in await place(self._scene, self._traders, takes, True):
            self._codes[name_outcome(answer)] += 1
        if not self._has_withdrawn and self._codes["filled"] >= self._config.withdraw_after:
            await self._withdraw()
        self._ticks += 1
        if self._ticks % REPORT_TICKS == 0:
            self._scene.log("takers.orders", dict(self._codes))

    async def _withdraw(self) -> None:
        try:
            await self._scene.session.call(*self._saver.sign_withdrawal(self._config.withdraw))
        except CallRefused as error:
            self._scene.log("withdrawal.refused", {"code": error.code, "error": error.message})  # a stale mark: the next tick tries again
            return
        self._has_withdrawn = True
        self._scene.log("withdrawal.asked", {"account": self._saver.index, "amount": self._config.withdraw})


async def run_takers(config: TakersConfig, *, task_status: Status = trio.TASK_STATUS_IGNORED) -> None:
    """Takes until cancelled."""
    async with trio.open_nursery() as nursery:
        scene = await open_scene(nursery, "takers", config)
        traders = await open_traders(scene, config)
        task_status.started({"accounts": [trader.index for trader in traders]})
        await scene.run_ticks(TakersDaemon(scene, traders, config).tick)


class LiquidatorDaemon:
    """One account that bids for what is up for auction."""

    def __init__(self, scene: Scene, trader: Trader, config: LiquidatorConfig) -> None:
        self._scene = scene
        self._trader = trader
        self._config = config

    async def tick(self, now: int) -> None:
        """One bid on each account whose discount is worth it."""
        for auction in await self._scene.session.call("straddle/auctions"):
            lot = choose_lot(auction, self._config.discount)
            if lot is not None and auction["account"] != self._trader.index:
                await self._bid(auction["account"], lot, now)

    async def _bid(self, target: int, lot: tuple[int, int], now: int) -> None:
        """For half as much, as long as it is too much."""
        session, legs = self._scene.session, [{"instrument_name": encode_instrument(lot[0]), "ratio": 1 if lot[1] > 0 else -1}]
        try:
            asked = await session.call("straddle/auction_price", {"target": target, "legs": legs})
        except CallRefused:
            return  # a mark has made it well again
        bid = open_bid(target, lot, asked["price"], self._config.max_lots, now + VALID_S * self._scene.speed)
        while bid.units:
            try:
                await session.call(*self._trader.sign_bid(bid))
            except CallRefused as error:
                if error.code not in TOO_MUCH:
                    self._scene.log("bid.refused", {"target": target, "units": bid.units, "code": name_code(error.code)})
                    return
                bid = replace(bid, units=bid.units // 2)
                continue
            taken = {"target": target, "instrument": legs[0]["instrument_name"], "lots": bid.units * bid.ratio}
            self._scene.log("bid.taken", taken | {"price": bid.limit})
            return


async def run_liquidator(config: LiquidatorConfig, *, task_status: Status = trio.TASK_STATUS_IGNORED) -> None:
    """Bids until cancelled."""
    async with trio.open_nursery() as nursery:
        scene = await open_scene(nursery, "liquidator", config)
        (trader,) = await open_traders(scene, config)
        task_status.started({"accounts": [trader.index]})
        await scene.run_ticks(LiquidatorDaemon(scene, trader, config).tick)
