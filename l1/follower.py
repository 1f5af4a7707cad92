"""Follows the canonical chain by parent hashes, across reorganisations.

The machine keeps a bounded chain of headers and takes segments that attach to it; it answers with what is undone, newest first, and what is
new, oldest first. The task around it polls an endpoint and fetches what the machine asks for. A consumer that applies `BlockSeen` and
reverses `BlockUndone` in the order they come is always on one chain. Logs are fetched by block hash at the tip; while catching up, by
range, and each log is matched with the header that was linked in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import trio

from l1.client import Client
from l1.provider import RpcError, Unavailable
from l1.sender import Log as LogCall
from l1.sender import ignore_log
from l1.shapes import Header, Log

SEGMENT = 200  # blocks that are fetched at once while catching up
KEEP = 512  # headers: the deepest reorganisation that is survived
MAX_BACKOFF_S = 10.0


@dataclass(frozen=True, slots=True)
class BlockSeen:
    """A block joined the chain. Logs are those of the followed addresses, in order."""

    header: Header
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class BlockUndone:
    """The newest block that was seen is no longer on the chain."""

    header: Header


FollowerEvent = BlockSeen | BlockUndone


class ReorgTooDeep(Exception):
    """The chain that we follow shares no block with the endpoint's among those that are kept. Needs a fresh start from a safe point."""


# -- the machine


@dataclass(frozen=True, slots=True)
class Chain:
    """Headers that were seen and not undone, ascending; `start` is the first block ever wanted."""

    start: int
    headers: tuple[Header, ...] = ()
    keep: int = KEEP

    @property
    def next_number(self) -> int:
        return self.headers[-1].number + 1 if self.headers else self.start


@dataclass(frozen=True, slots=True)
class Extend:
    """Undo these, newest first, then see those, oldest first."""

    undone: tuple[Header, ...]
    seen: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class FetchBefore:
    """The segment attaches to nothing that we have: fetch the header with this hash, and put it in front."""

    hash: bytes
    number: int


def compute_attachment(chain: Chain, segment: Sequence[Header]) -> Extend | FetchBefore:
    """What a linked, non-empty segment does to the chain. Raises `ReorgTooDeep` when going further back is of no use."""
    first = segment[0]
    if first.number <= chain.start and (not chain.headers or chain.headers[0].number == chain.start):
        # nothing before the start is followed: everything that is not shared goes
        return _compute_extension(chain, segment, 0)
    for place in range(len(chain.headers) - 1, -1, -1):
        own = chain.headers[place]
        if own.hash == first.parent:
            return _compute_extension(chain, segment, place + 1)
        if own.number < first.number - 1:
            break
    if not chain.headers or first.number <= chain.headers[0].number:
        raise ReorgTooDeep(f"no common block from {chain.headers[0].number if chain.headers else chain.start} on")
    return FetchBefore(first.parent, first.number - 1)


def _compute_extension(chain: Chain, segment: Sequence[Header], place: int) -> Extend:
    """`segment` follows `headers[:place]`; what both have is neither undone nor seen again."""
    old = chain.headers[place:]
    new = [header for header in segment if header.number >= chain.start]
    shared = 0
    while shared < min(len(old), len(new)) and old[shared].hash == new[shared].hash:
        shared += 1
    if shared == len(new):
        return Extend((), ())  # an endpoint that is behind; what we have beyond stands until something contradicts it
    return Extend(tuple(reversed(old[shared:])), tuple(new[shared:]))


def apply_undo(chain: Chain) -> Chain:
    """Without its newest block."""
    return replace(chain, headers=chain.headers[:-1])


def apply_seen(chain: Chain, header: Header) -> Chain:
    """With `header`, whose parent is the newest block."""
    assert not chain.headers or chain.headers[-1].hash == header.parent, "header does not attach"
    return replace(chain, headers=(*chain.headers[-chain.keep + 1 :], header))


# -- the task


class Follower:
    """One endpoint, one list of addresses. `known` are headers that the consumer has applied, ascending, from its own store: a
    reorganisation while it was down is then undone like any other. With `confirmations` n a block is seen when n - 1 follow it.
    """

    def __init__(
        self,
        client: Client,
        addresses: Sequence[bytes],
        start: int,
        *,
        known: Sequence[Header] = (),
        confirmations: int = 1,
        poll_s: float = 1.0,
        log: LogCall = ignore_log,
    ) -> None:
        assert confirmations >= 1
        self._client = client
        self._addresses = tuple(addresses)
        self._confirmations = confirmations
        self._poll_s = poll_s
        self._log = log
        self.chain = Chain(start, tuple(known[-KEEP:]))

    async def run(self, channel: trio.MemorySendChannel[FollowerEvent]) -> None:
        """For ever; closes the channel at the end. A full channel holds the follower back. Raises `ReorgTooDeep`."""
        backoff = self._poll_s
        async with channel:
            while True:
                try:
                    while await self.advance(channel):
                        backoff = self._poll_s
                    backoff = self._poll_s
                except (Unavailable, RpcError) as error:
                    self._log("l1.unavailable", {"error": str(error)})
                    backoff = min(backoff * 2, MAX_BACKOFF_S)
                await trio.sleep(backoff)

    async def advance(self, channel: trio.MemorySendChannel[FollowerEvent]) -> bool:
        """One step towards the endpoint's chain; whether there is more to do at once."""
        head = await self._client.get_head()
        target = head.number - self._confirmations + 1
        if target < self.chain.start:
            return False
        if self.chain.headers and self.chain.headers[-1].number >= target:
            return await self._compare(channel, target)
        first = self.chain.next_number
        last = min(target, first + SEGMENT - 1)
        segment = await self._client.get_headers(first, last)
        await self._attach(channel, segment)
        return last < target

    async def _compare(self, channel: trio.MemorySendChannel[FollowerEvent], target: int) -> bool:
        """No new block: is the one at the target's height ours?"""
        header = await self._client.get_header(target)
        if header is None:
            raise Unavailable("the endpoint lost a block")
        if target < self.chain.headers[0].number:
            raise Unavailable(f"the endpoint is far behind: at {target}, and we were at {self.chain.headers[-1].number}")
        own = next(own for own in self.chain.headers if own.number == target)
        if own.hash != header.hash:
            await self._attach(channel, [header])
        return False

    async def _attach(self, channel: trio.MemorySendChannel[FollowerEvent], segment: list[Header]) -> None:
        while isinstance(step := compute_attachment(self.chain, segment), FetchBefore):
            before = await self._client.get_header(step.hash)
            if before is None or before.number != step.number:
                raise Unavailable("the endpoint does not have the parent of its own block")
            segment.insert(0, before)
        groups = await self._fetch_logs(step.seen)
        # nothing awaits the network from here on: the chain moves as the consumer takes the events
        for header in step.undone:
            await channel.send(BlockUndone(header))
            self.chain = apply_undo(self.chain)
        for header in step.seen:
            await channel.send(BlockSeen(header, groups.get(header.hash, ())))
            self.chain = apply_seen(self.chain, header)

    async def _fetch_logs(self, headers: Sequence[Header]) -> dict[bytes, tuple[Log, ...]]:
        """By block hash. A range is taken for many: if it raced with a reorganisation its logs stand in foreign blocks, and are refused;
        that it has none left out is confirmed by what the same range's last block says of itself afterwards."""
        if not headers or not self._addresses:
            return {}
        if len(headers) == 1:
            return {headers[0].hash: await self._client.get_logs(headers[0], self._addresses)}
        logs = await self._client.get_logs_of(headers, self._addresses)
        last = await self._client.get_header(headers[-1].number)
        if last is None or last.hash != headers[-1].hash:
            raise Unavailable("the chain was reorganised while logs were fetched")
        groups: dict[bytes, list[Log]] = {}
        for log in logs:
            groups.setdefault(log.block_hash, []).append(log)
        return {block_hash: tuple(group) for block_hash, group in groups.items()}
