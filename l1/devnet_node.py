"""The development chain as a running thing: its clock, its miner, its snapshots and reorganisations.

EVM work runs in a thread, one block at a time; calls have a thread of their own, so that they need not wait for a heavy block.
Everything else is answered from indexes that only the event loop writes.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from l1.devnet_chain import Block, Built, Chain, Refused, Tx, get_fees
from l1.devnet_pool import MAX_TX_BYTES, Pool
from l1.keys import derive_dev_keys

GWEI = 10**9


@dataclass(frozen=True)
class Settings:
    """`block_time` in seconds of wall clock; None mines only on demand, 0 whenever a transaction waits."""

    chain_id: int = 31337
    block_time: float | None = 1.0
    genesis_time: int | None = None  # chain time at the start; None for the wall clock's
    speed: float = 1.0
    gas_limit: int = 36_000_000
    accounts: int = 20
    balance_wei: int = 1_000_000 * 10**18


@dataclass
class Clock:
    """Chain time = start + (wall - wall's start) * speed. `wall` is any clock in seconds."""

    start: float
    speed: float
    wall: Callable[[], float]
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.wall()

    def now(self) -> int:
        return math.floor(self.start + (self.wall() - self.began) * self.speed)

    def move(self, seconds: float) -> None:
        self.start += seconds


@dataclass(frozen=True)
class Snapshot:
    """A place to return to: head, clock and the transactions that waited."""

    number: int
    hash: bytes
    clock_start: float
    pending: tuple[Tx, ...]


class Node:
    """Chain, pool and clock, and the rules of how they move together."""

    def __init__(self, settings: Settings, wall: Callable[[], float], unix_time: Callable[[], float]) -> None:
        genesis = math.floor(unix_time()) if settings.genesis_time is None else settings.genesis_time
        balances = {key.address: settings.balance_wei for key in derive_dev_keys(settings.accounts)}
        self.settings = settings
        self.block_time = settings.block_time
        self.clock = Clock(genesis, settings.speed, wall)
        self.chain = Chain(settings.chain_id, genesis, settings.gas_limit, balances)
        self.pool = Pool()
        self._mining = trio.Lock()
        self._calling = trio.CapacityLimiter(1)
        self._next_time: int | None = None
        self._snapshots: list[Snapshot] = []
        self._work = trio.Event()  # replaced whenever something may be there to mine
        self._mode = trio.Event()  # replaced when the mining mode changes

    # -- mining

    async def run_miner(self) -> None:
        """For ever, by the current mode. A block that takes longer than the block time delays the next, and none is skipped."""
        due = trio.current_time()
        while True:
            if self.block_time:
                due = max(due + self.block_time, trio.current_time())
                with trio.move_on_at(due) as waited:
                    await self._mode.wait()
                if waited.cancelled_caught:
                    await self.mine()
            elif self.block_time == 0:
                work = self._work
                if len(self.pool):
                    await self.mine()
                await work.wait()
            else:
                await self._mode.wait()

    def set_mining(self, block_time: float | None) -> None:
        """Takes effect at once."""
        self.block_time = block_time
        self._mode.set()
        self._mode = trio.Event()
        self._awake()

    def _awake(self) -> None:
        """Something may be there to mine."""
        self._work.set()
        self._work = trio.Event()

    async def mine(self) -> Block:
        """One block of what waits."""
        async with self._mining:
            return await self._mine(None)

    async def _mine(self, time: int | None, txs: Sequence[Tx] | None = None) -> Block:
        parent = self.chain.head
        if time is None:
            time, self._next_time = self.clock.now() if self._next_time is None else self._next_time, None
        time = max(time, parent.header.timestamp + 1)
        if txs is None:
            state = self.chain.get_state(parent)
            txs = self.pool.select(self.chain.next_base_fee(), parent.header.gas_limit, state.get_nonce)
        work = functools.partial(self.chain.build, parent, time, txs)
        built: Built = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        self.chain.extend(built.block)
        self.pool.remove_mined(built.block.txs)
        for tx, _ in built.dropped:
            self.pool.remove(bytes(tx.hash))
        return built.block

    async def reorganise(self, depth: int, raws: Sequence[tuple[bytes, int]], keep: bool) -> None:
        """Replace the last `depth` blocks by as many, at the old times. Their transactions vanish, or with `keep` return to the pool;
        the given raw transactions go into the new blocks, each into the one of its index."""
        async with self._mining:
            if not 0 < depth <= self.chain.head.number:
                raise Refused("reorg depth exceeds the chain", -32602)
            chosen: list[list[Tx]] = [[] for _ in range(depth)]
            for raw, index in raws:
                if not 0 <= index < depth:
                    raise Refused("block index outside of the reorg", -32602)
                chosen[index].append(self.chain.decode(raw))
            old = self.chain.rewind(self.chain.head.number - depth)
            for block, txs in zip(old, chosen, strict=True):
                await self._mine(block.header.timestamp, txs)
            if keep:
                mined = {bytes(tx.hash) for txs in chosen for tx in txs}
                self._restore([tx for block in old for tx in block.txs if bytes(tx.hash) not in mined])

    def _restore(self, txs: Sequence[Tx]) -> None:
        state = self.chain.get_state(self.chain.head)
        for tx in txs:
            if self.pool.get(bytes(tx.hash)) is None and tx.nonce >= state.get_nonce(tx.sender):
                self.pool.add(tx)
        self._awake()

    # -- time and snapshots

    def set_next_time(self, time: int) -> None:
        """The next block's timestamp exactly; the clock goes on from there."""
        if time <= self.chain.head.header.timestamp:
            raise Refused("timestamp is not after the head's", -32602)
        self._next_time = time
        self.clock.move(time - self.clock.now())

    def move_time(self, seconds: int) -> int:
        """Later only. Returns how far the clock is from where it would be."""
        if seconds < 0:
            raise Refused("time moves forward only", -32602)
        self.clock.move(seconds)
        return seconds

    def take_snapshot(self) -> int:
        """Its number, from 1."""
        head = self.chain.head
        self._snapshots.append(Snapshot(head.number, head.hash, self.clock.start, tuple(self.pool.get_all())))
        return len(self._snapshots)

    async def revert(self, number: int) -> bool:
        """Back to a snapshot; it and later ones are gone. False if it is unknown or no longer an ancestor."""
        async with self._mining:
            if not 0 < number <= len(self._snapshots):
                return False
            snapshot = self._snapshots[number - 1]
            del self._snapshots[number - 1 :]
            if self.chain.get_block(snapshot.hash) is None:
                return False
            self.chain.rewind(snapshot.number)
            self.clock.start = snapshot.clock_start
            self._next_time = None
            min_tip, self.pool = self.pool.min_tip, Pool()
            self.pool.min_tip = min_tip
            self._restore(snapshot.pending)
            return True

    # -- transactions and calls

    def send(self, raw: bytes) -> bytes:
        """Into the pool, by geth's rules and in its words. Returns the hash."""
        if len(raw) > MAX_TX_BYTES:
            raise Refused("oversized data")
        tx = self.chain.decode(raw)
        if tx.chain_id not in (None, self.settings.chain_id):
            raise Refused("invalid chain id for signer")
        state = self.chain.get_state(self.chain.head)
        tip, cap = get_fees(tx)
        if tx.nonce < state.get_nonce(tx.sender):
            raise Refused("nonce too low")
        if tx.gas > self.settings.gas_limit:
            raise Refused("exceeds block gas limit")
        if tx.gas < max(tx.intrinsic_gas, compute_floor_gas(tx.data)):
            raise Refused("intrinsic gas too low")
        if tip > cap:
            raise Refused("max priority fee per gas higher than max fee per gas")
        if state.get_balance(tx.sender) < tx.value + tx.gas * cap:
            raise Refused("insufficient funds for gas * price + value")
        self.pool.add(tx)
        self._awake()
        return bytes(tx.hash)

    def drop(self, tx_hash: bytes) -> bool:
        return self.pool.remove(tx_hash)

    async def call(self, block: Block, sender: bytes, to: bytes, data: bytes, value: int, gas: int) -> tuple[bytes, int]:
        """Output and gas used."""
        work = functools.partial(self.chain.call, block, sender, to, data, value, gas)
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._calling)


def compute_floor_gas(data: bytes) -> int:
    """EIP-7623: 21,000 and 10 gas a zero byte, 40 any other."""
    zeros = data.count(0)
    return 21_000 + 10 * zeros + 40 * (len(data) - zeros)
