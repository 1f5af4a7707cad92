"""The three roles as daemons: their machines, driven by the clock and by the sequencer's answers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import trio
from coincurve import PrivateKey

from node.errors import NodeCode, NodeError
from node.instruments import decode_instrument
from protocol.codes import Code
from protocol.operations import build_mark
from protocol.signing import compute_mark_digest
from protocol.types import UNDERLYINGS
from sim.actors.config import MakersConfig, OracleConfig, TakersConfig, load_keys
from sim.actors.makers import Cancel, Desk, Place, Resting, choose_books, compute_quotes
from sim.actors.oracle import MarketsRead, MarkRefused, MarkTaken, Oracle, SubmitMark, advance
from sim.actors.runtime import Scene, open_scene, open_traders, place
from sim.actors.takers import Flow
from sim.actors.trader import Trader
from sim.client import MAX_CALLS, CallRefused
from sim.scribe import get_address, sign

Status = trio.TaskStatus[Mapping[str, Any]]
REPORT_TICKS = 20  # between two lines of the log


class OracleDaemon:
    """Holds the keys of a whole quorum: in a simulation one process may."""

    def __init__(self, scene: Scene, keys: list[PrivateKey]) -> None:
        self._scene = scene
        self._keys = keys
        self._oracle = Oracle(scene.deployment.params.mark_gap_s)

    def sign(self, mark: SubmitMark) -> tuple[tuple[int, ...], bytes]:
        """Items of the row, and one signature of each key."""
        market = mark.market
        row = build_mark(mark.underlying, mark.previous, market)
        domain = self._scene.deployment.rules.domain
        digest = compute_mark_digest(domain, mark.underlying, mark.previous, market.mark_time, market.index_price, row[5:])
        return row, b"".join(sign(key, digest) for key in self._keys)

    async def start(self) -> None:
        """Names the last marks, if there were any."""
        self._oracle = Oracle(self._oracle.gap_s, await self._get_mark_times())

    async def tick(self, now: int) -> None:
        """One mark of each underlying that is due."""
        self._oracle, marks = advance(self._oracle, MarketsRead(now, self._scene.source.get_markets()))
        async with trio.open_nursery() as nursery:
            for mark in marks:
                nursery.start_soon(self._submit, mark)

    async def _submit(self, mark: SubmitMark) -> None:
        row, signatures = self.sign(mark)
        params = {"items": [str(item) for item in row], "signatures": "0x" + signatures.hex()}
        event: MarkTaken | MarkRefused = MarkTaken(mark.underlying, mark.market.mark_time)
        try:
            await self._scene.session.call("straddle/submit_mark", params)
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
        self._codes: Counter[str] = Counter()
        self._ticks = 0

    async def tick(self, now: int) -> None:
        """What rests is asked for, what is wanted is computed, the difference is sent."""
        calls = [("private/get_open_orders", {"account": index}) for index in self._traders]
        resting = [_parse_resting(order) for orders in await self._scene.session.call_many(calls) for order in orders]
        changes = compute_quotes(self._desk, now, self._scene.source.get_books(), resting, self._scene.speed)
        cancels = [("private/cancel", {"order_id": f"{c.account}-{c.nonce}"}) for c in changes if isinstance(c, Cancel)]
        for start in range(0, len(cancels), MAX_CALLS):
            await self._scene.session.call_many(cancels[start : start + MAX_CALLS])
        for answer in await place(self._scene, self._traders, [c for c in changes if isinstance(c, Place)], False):
            self._codes[name_outcome(answer)] += 1
        self._ticks += 1
        if self._ticks % REPORT_TICKS == 0:
            self._scene.log("makers.orders", {"resting": len(resting), **self._codes})


def _parse_resting(order: Mapping[str, Any]) -> Resting:
    account, nonce = map(int, order["order_id"].split("-"))
    series, left = decode_instrument(order["instrument_name"]), order["amount"] - order["filled_amount"]
    return Resting(account, nonce, series, int(order["direction"] == "buy"), order["price"], left)


def name_outcome(answer: Any) -> str:
    """For the log: open, filled, cancelled, or the name of the code."""
    if "error" in answer:
        code = answer["error"]["code"]
        return Code(code).name.lower() if code in set(Code) else str(code)
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
