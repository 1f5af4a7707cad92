"""The villain's friend: holds two accounts, and at a given moment gets into a batch what its lie needs.

Everything goes through the sequencer's public door. Rows that the rules reject are posted all the same (`must_apply` false), and honest
nodes skip them; a lying tracer does not.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import trio
from coincurve import PrivateKey

from protocol.margin import compute_mark
from protocol.operations import MAX_FEE_CAP, build_deposit, build_mark, build_order, build_trade
from protocol.series import decode_series
from protocol.signing import compute_mark_digest, compute_order_digest
from protocol.types import LOTS_PER_UNIT, UNDERLYINGS
from sim.actors.config import TraderConfig
from sim.actors.runtime import Scene, open_scene, open_traders, place
from sim.actors.trader import Order, Trader
from sim.market.source import Book
from sim.scribe import get_address, make_key, sign
from sim.villains.lies import LIES, Bait

USD = 1_000_000
POLL_S = 0.1
VALID_S = 3_600
HIGH_NONCE = 1 << 40  # above every nonce that an honest trader has used
LOOT = 900_000 * USD
DEPOSIT = 77_000 * USD
HUGE_LOTS = 10_000  # 100 units: no small account's margin covers them short
FORGED = 8, 10  # forged forwards are eight tenths of the true ones


class AccompliceConfig(TraderConfig, frozen=True):
    """`lie` by name; the bait is thrown when chain time reaches `at`."""

    lie: str = "overpaid-withdrawal"
    at: Annotated[int, msgspec.Meta(ge=0)] = 0


class Accomplice:
    """Two accounts, and the baits."""

    def __init__(self, scene: Scene, traders: Sequence[Trader], deposit: int) -> None:
        self._scene = scene
        self._deposit = deposit  # of each account, 1e-6 USD
        self._first, self._second = traders

    async def throw(self, bait: Bait, now: int) -> None:
        """What the lie needs."""
        match bait:
            case Bait.WITHDRAW:
                await self._scene.session.call(*self._first.sign_withdrawal(LOOT))
            case Bait.ORDER:
                await self._forge_order(now)
            case Bait.OVERFILL:
                await self._overfill(now)
            case Bait.MARGIN:
                await self._overreach(now)
            case Bait.WEAK:
                await self._sell_all(now)
            case Bait.MARK:
                await self._forge_mark()
            case Bait.DEPOSIT:
                owner = int.from_bytes(self._first.owner, "big")
                await self._post(build_deposit(self._first.index, owner, DEPOSIT))
            case Bait.NOTHING:
                return

    async def _post(self, items: Sequence[int], signatures: bytes = b"") -> Mapping[str, Any]:
        params = {"items": [str(item) for item in items], "signatures": "0x" + signatures.hex(), "must_apply": False}
        answer: Mapping[str, Any] = await self._scene.session.call("straddle/submit_row", params)
        self._scene.log("bait.posted", {"kind": items[0] & 15, "code": answer["name"]})
        return answer

    def _get_cheapest(self) -> tuple[int, int]:
        """Series and mark a lot of what costs least: its margin is far above its price."""
        markets = self._scene.source.get_markets()
        marks = [(self._get_mark(book, markets), book.series) for book in self._scene.source.get_books()]
        price, series = min((mark, series) for mark, series in marks if mark > 0)
        return series, price

    @staticmethod
    def _get_mark(book: Book, markets: Mapping[int, Any]) -> int:
        market = markets.get(decode_series(book.series).underlying)
        return 0 if market is None else (compute_mark(book.series, market) or 0) // LOTS_PER_UNIT

    async def _order(
        self, now: int, trader: Trader, account: int, series: int, is_buy: int, price: int, lots: int, nonce: int, generation: int = 0
    ) -> int:
        """Posts an ORDER row, signed by `trader` for `account`; its slot."""
        valid_until = now + VALID_S * self._scene.speed
        underlying, expiry, strike, is_call = decode_series(series)
        terms = (account, underlying, expiry, strike, is_call, is_buy, price, lots, 0, 0, 0, MAX_FEE_CAP, nonce, generation, valid_until)
        signature = sign(trader.key, compute_order_digest(trader.domain, terms))
        await self._post(build_order(account, series, is_buy, price, lots, nonce, valid_until), signature)
        return self._scene.deployment.params.get_slot(nonce)

    async def _forge_order(self, now: int) -> None:
        """In the name of account 0, which is somebody else's."""
        series, price = self._get_cheapest()
        await self._order(now, self._first, 0, series, 0, price, 50, HIGH_NONCE)

    async def _cross(self, now: int, lots: int, trades: Sequence[int]) -> None:
        """The first account sells to the second, in TRADE rows of these sizes."""
        series, price = self._get_cheapest()
        sold = await self._order(now, self._first, self._first.index, series, 0, price, lots, HIGH_NONCE, self._first.generation)
        bought = await self._order(now, self._second, self._second.index, series, 1, price, lots, HIGH_NONCE, self._second.generation)
        for size in trades:
            await self._post(build_trade(self._first.index, sold, self._second.index, bought, size))

    async def _overfill(self, now: int) -> None:
        await self._cross(now, 5, (5, 3))

    async def _overreach(self, now: int) -> None:
        """As much as the buyer can pay for, so that nothing but the seller's margin stands against it."""
        _, price = self._get_cheapest()
        lots = min(HUGE_LOTS, self._deposit * 8 // 10 // price)
        await self._cross(now, lots, (lots,))

    async def _sell_all(self, now: int) -> None:
        """As many calls as the margin lets it, so that the coming move leaves the account below maintenance."""
        markets = self._scene.source.get_markets()
        calls = [book for book in self._scene.source.get_books() if decode_series(book.series).is_call]
        book = max(calls, key=lambda book: self._get_mark(book, markets))
        price, lots = self._get_mark(book, markets), 1 << 14
        valid_until = now + VALID_S * self._scene.speed
        traders = {trader.index: trader for trader in (self._first, self._second)}
        while lots:
            sell = Order(self._first.index, book.series, 0, price, lots, valid_until)
            (answer,) = await place(self._scene, traders, [sell], False)
            buy = Order(self._second.index, book.series, 1, price, lots, valid_until)
            (answer,) = await place(self._scene, traders, [buy], True)
            if "error" not in answer and answer["trades"]:
                return
            await self._scene.session.call("private/cancel_all", {"account": self._first.index})
            lots = lots * 7 // 8

    async def _forge_mark(self) -> None:
        """Between two true marks: it must name the last one, and come long enough after it."""
        gap = self._scene.deployment.params.mark_gap_s
        while True:
            previous, now = await self._get_last_mark(), await self._scene.get_time()
            if previous and now >= previous + gap:
                await self._post(*self._build_forged_mark(previous, now))
                if await self._get_last_mark() == previous:
                    return
            await trio.sleep(POLL_S)

    async def _get_last_mark(self) -> int:
        return int((await self._scene.session.call("public/status"))["mark_times"][UNDERLYINGS[0]])

    def _build_forged_mark(self, previous: int, now: int) -> tuple[tuple[int, ...], bytes]:
        self._scene.source.advance(now)
        market = self._scene.source.get_markets()[0]
        part, whole = FORGED
        slices = tuple(item._replace(forward=item.forward * part // whole) for item in market.slices)
        forged = market._replace(mark_time=now, index_price=market.index_price * part // whole, slices=slices)
        row = build_mark(0, previous, forged)
        digest = compute_mark_digest(self._scene.deployment.rules.domain, 0, previous, now, forged.index_price, row[5:])
        keys: list[PrivateKey] = [make_key(get_address(self._first.key) & 0xFFFF | at << 20) for at in (1, 2, 3, 4, 5)]
        return row, b"".join(sign(key, digest) for key in keys[: self._scene.deployment.params.quorum])


async def run_accomplice(config: AccompliceConfig, *, task_status: trio.TaskStatus[Mapping[str, Any]] = trio.TASK_STATUS_IGNORED) -> None:
    """Opens the accounts, throws the bait once, and stays."""
    async with trio.open_nursery() as nursery:
        scene = await open_scene(nursery, "accomplice", config)
        accomplice = Accomplice(scene, await open_traders(scene, config), config.deposit)
        task_status.started({})
        while (now := await scene.get_time()) < config.at:
            scene.source.advance(now)
            await trio.sleep(POLL_S)
        scene.source.advance(now)
        await accomplice.throw(LIES[config.lie].bait, now)
        await trio.sleep_forever()
