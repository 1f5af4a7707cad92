"""The development chain's mempool: nonces in order per sender, best tip first, replacement for at least 10 % more."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from l1.devnet_chain import Refused, Tx, get_fees

MAX_PENDING = 20_000
MAX_TX_BYTES = 131_072  # geth refuses larger ones


@dataclass(frozen=True)
class Pending:
    """A transaction that waits; `order` breaks ties of tips."""

    tx: Tx
    tip: int
    cap: int
    order: int


class Pool:
    """Transactions that no canonical block holds."""

    def __init__(self) -> None:
        self._queues: dict[bytes, dict[int, Pending]] = {}
        self._hashes: dict[bytes, Pending] = {}
        self._order = 0
        self.min_tip = 0  # the miner leaves cheaper ones alone: how a test makes a transaction stuck

    def __len__(self) -> int:
        return len(self._hashes)

    def get(self, tx_hash: bytes) -> Tx | None:
        found = self._hashes.get(tx_hash)
        return None if found is None else found.tx

    def get_all(self) -> list[Tx]:
        return [item.tx for item in self._hashes.values()]

    def get_next_nonce(self, sender: bytes, mined: int) -> int:
        """First nonce from `mined` on that nothing here uses."""
        queue = self._queues.get(sender, {})
        while mined in queue:
            mined += 1
        return mined

    def add(self, tx: Tx) -> None:
        """Refuses what is known, what underbids the transaction that it would replace, and anything when full."""
        tip, cap = get_fees(tx)
        sender, tx_hash = bytes(tx.sender), bytes(tx.hash)
        if tx_hash in self._hashes:
            raise Refused("already known")
        old = self._queues.get(sender, {}).get(tx.nonce)
        if old is not None and (cap * 10 < old.cap * 11 or tip * 10 < old.tip * 11):
            raise Refused("replacement transaction underpriced")
        if old is None and len(self._hashes) >= MAX_PENDING:
            raise Refused("txpool is full")
        if old is not None:
            self.remove(bytes(old.tx.hash))
        self._order += 1
        item = Pending(tx, tip, cap, self._order)
        self._queues.setdefault(sender, {})[tx.nonce] = item
        self._hashes[tx_hash] = item

    def remove(self, tx_hash: bytes) -> bool:
        item = self._hashes.pop(tx_hash, None)
        if item is None:
            return False
        sender = bytes(item.tx.sender)
        queue = self._queues[sender]
        del queue[item.tx.nonce]
        if not queue:
            del self._queues[sender]
        return True

    def remove_mined(self, txs: Iterable[Tx]) -> None:
        """Also what lost its nonce to one of them."""
        for tx in txs:
            self.remove(bytes(tx.hash))
            rival = self._queues.get(bytes(tx.sender), {}).get(tx.nonce)
            if rival is not None:
                self.remove(bytes(rival.tx.hash))

    def select(self, base_fee: int, room: int, get_nonce: Callable[[bytes], int]) -> list[Tx]:
        """For one block: best effective tip first, nonces in order, gas limits within `room`."""
        chosen: list[Tx] = []
        heap: list[tuple[int, int, bytes, int]] = []

        def push(sender: bytes, nonce: int) -> None:
            item = self._queues[sender].get(nonce)
            if item is not None and item.cap >= base_fee and item.tip >= self.min_tip:
                heapq.heappush(heap, (-min(item.tip, item.cap - base_fee), item.order, sender, nonce))

        for sender in self._queues:
            push(sender, get_nonce(sender))
        while heap:
            _, _, sender, nonce = heapq.heappop(heap)
            tx = self._queues[sender][nonce].tx
            if tx.gas > room:
                continue
            room -= tx.gas
            chosen.append(tx)
            push(sender, nonce + 1)
        return chosen
