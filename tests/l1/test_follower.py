"""The block follower: the machine against every shape of reorganisation, the task against the devnet's."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from l1.follower import BlockSeen, BlockUndone, Chain, Extend, FetchBefore, Follower, FollowerEvent, ReorgTooDeep, apply_seen, apply_undo
from l1.follower import compute_attachment as attach
from l1.provider import Unavailable
from l1.shapes import Header
from protocol.keccak import keccak
from tests.l1.devchain import KEYS, Dev, wait_until

ALICE = KEYS[0]


class Consumer:
    """Applies events as a daemon would, and fails on any that does not fit."""

    def __init__(self, headers: Sequence[Header] = ()) -> None:
        self.headers = list(headers)
        self.logs: dict[bytes, int] = {}
        self.undone = 0

    def apply(self, event: FollowerEvent) -> None:
        if isinstance(event, BlockUndone):
            assert self.headers.pop() == event.header
            self.logs.pop(event.header.hash, None)
            self.undone += 1
        else:
            assert not self.headers or self.headers[-1].hash == event.header.parent
            self.headers.append(event.header)
            assert all(log.block_hash == event.header.hash for log in event.logs)
            self.logs[event.header.hash] = len(event.logs)


def make_chain(branch: Sequence[int]) -> list[Header]:
    """Block n is decided by the first n + 1 choices, so branches share what their prefixes share."""
    headers: list[Header] = []
    for number in range(len(branch)):
        parent = headers[-1].hash if headers else bytes(32)
        headers.append(Header(number, keccak(parent + bytes([branch[number]])), parent, 10 * number, 7))
    return headers


@given(
    branches=st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), min_size=1, max_size=8),
    start=st.integers(0, 3),
    size=st.integers(1, 4),
)
def test_whatever_the_endpoint_jumps_to_the_consumer_ends_on_its_chain(branches: list[list[int]], start: int, size: int) -> None:
    chain = Chain(start)
    consumer = Consumer()
    for branch in branches:
        theirs = make_chain(branch)
        if len(theirs) <= start:
            continue
        by_hash = {header.hash: header for header in theirs}
        for _ in range(40):
            first = min(chain.next_number, len(theirs) - 1)
            segment = theirs[first : first + size]
            while isinstance(step := attach(chain, segment), FetchBefore):
                segment = [by_hash[step.hash], *segment]
            for header in step.undone:
                consumer.apply(BlockUndone(header))
                chain = apply_undo(chain)
            for header in step.seen:
                consumer.apply(BlockSeen(header, ()))
                chain = apply_seen(chain, header)
            if chain.next_number >= len(theirs):
                break
        assert list(chain.headers) == consumer.headers
        shared = theirs[start:]
        # an endpoint on a shorter piece of our own chain proves nothing against the rest
        assert consumer.headers[: len(shared)] == shared
        assert all(a.hash == b.parent for a, b in pairwise(consumer.headers))


def test_what_both_have_is_neither_undone_nor_seen_again() -> None:
    ours, theirs = make_chain([0, 0, 0, 0]), make_chain([0, 0, 1, 1, 1])
    assert attach(Chain(0, tuple(ours)), theirs[1:]) == Extend((ours[3], ours[2]), tuple(theirs[2:]))
    assert attach(Chain(0, tuple(ours)), ours[1:3]) == Extend((), ())


def test_a_reorganisation_below_what_is_kept_is_not_guessed_at() -> None:
    ours, theirs = make_chain([0] * 20), make_chain([0] * 5 + [1] * 20)
    kept = Chain(0, tuple(ours[-10:]), keep=10)
    segment = theirs[20:21]
    while segment[0].number > 11:
        step = attach(kept, segment)
        assert isinstance(step, FetchBefore)
        segment = [theirs[step.number], *segment]
    with pytest.raises(ReorgTooDeep):
        attach(kept, [theirs[10], *segment])


def test_only_so_many_headers_are_kept() -> None:
    chain = Chain(0, keep=5)
    for header in make_chain([0] * 20):
        chain = apply_seen(chain, header)
    assert [header.number for header in chain.headers] == [15, 16, 17, 18, 19]


# -- against the devnet


async def drain(channel: trio.MemoryReceiveChannel[FollowerEvent], consumer: Consumer) -> None:
    async for event in channel:
        consumer.apply(event)


def start_following(dev: Dev, nursery: trio.Nursery, consumer: Consumer, token: bytes, start: int, confirmations: int = 1) -> None:
    sender, receiver = trio.open_memory_channel[FollowerEvent](4)
    follower = Follower(dev.client, [token], start, known=consumer.headers, confirmations=confirmations, poll_s=0.02)
    nursery.start_soon(follower.run, sender)
    nursery.start_soon(drain, receiver, consumer)


async def wait_on(dev: Dev, consumer: Consumer, behind: int = 0) -> None:
    """Until the consumer is on the endpoint's chain, `behind` blocks back, with all its logs; then checks every block of it."""

    async def is_there() -> bool:
        number = await dev.get_number() - behind
        header = await dev.client.get_header(number)
        return header is not None and bool(consumer.headers) and consumer.headers[-1] == header

    await wait_until(is_there)
    first = consumer.headers[0].number
    assert consumer.headers == await dev.client.get_headers(first, consumer.headers[-1].number)


async def test_it_follows_and_undoes_what_the_chain_undoes(dev: Dev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(ALICE)
    consumer = Consumer()
    start_following(dev, nursery, consumer, token, 0)
    for nonce in (1, 2, 3):
        await dev.mint(ALICE, token, nonce)
        await dev.mine()
    await wait_on(dev, consumer)
    assert sum(consumer.logs.values()) == 3
    await dev.reorg(2, keep=True)
    await wait_on(dev, consumer)
    assert consumer.undone == 2
    assert sum(consumer.logs.values()) == 1
    await dev.mine()
    await wait_on(dev, consumer)
    assert sum(consumer.logs.values()) == 3
    await dev.reorg(1, keep=False)
    await dev.mine(2)
    await wait_on(dev, consumer)
    assert consumer.undone == 3
    assert sum(consumer.logs.values()) == 1


async def test_it_waits_for_confirmations_and_then_sees_no_shallow_reorganisation(dev: Dev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(ALICE)
    await dev.mine(6)
    consumer = Consumer()
    start_following(dev, nursery, consumer, token, 0, confirmations=4)
    await wait_on(dev, consumer, behind=3)
    await dev.reorg(3, keep=False)
    await dev.mine()
    await wait_on(dev, consumer, behind=3)
    assert consumer.undone == 0


async def test_it_catches_up_by_ranges_and_misses_no_log(dev: Dev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(ALICE)
    for nonce in range(1, 4):
        await dev.mint(ALICE, token, nonce)
        await dev.rpc("anvil_mine", hex(150))
    consumer = Consumer()
    start_following(dev, nursery, consumer, token, 1)
    await wait_on(dev, consumer)
    assert consumer.headers[0].number == 1
    assert len(consumer.headers) == await dev.get_number()
    assert [count for count in consumer.logs.values() if count] == [1, 1, 1]


async def test_a_reorganisation_while_it_was_down_is_undone_first(dev: Dev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(ALICE)
    await dev.mine(4)
    consumer = Consumer(await dev.client.get_headers(2, await dev.get_number()))
    await dev.reorg(2, keep=False)
    await dev.mine()
    start_following(dev, nursery, consumer, token, 2)
    await wait_on(dev, consumer)
    assert consumer.undone == 2


async def test_an_endpoint_that_falls_behind_undoes_nothing(dev: Dev) -> None:
    await dev.mine(8)
    headers = await dev.client.get_headers(4, 8)
    snapshot = await dev.rpc("evm_snapshot")
    await dev.mine(3)
    sender, receiver = trio.open_memory_channel[FollowerEvent](100)
    follower = Follower(dev.client, [], 4, known=headers)
    while await follower.advance(sender):
        pass
    tip = follower.chain.headers[-1]
    await dev.rpc("evm_revert", snapshot)  # it knows three blocks less, and none that contradicts ours
    assert not await follower.advance(sender)
    assert follower.chain.headers[-1] == tip
    late = Follower(dev.client, [], 4, known=[tip])
    with pytest.raises(Unavailable, match="far behind"):
        await late.advance(sender)
    assert [type(receiver.receive_nowait()) for _ in range(3)] == [BlockSeen] * 3
    with pytest.raises(trio.WouldBlock):
        receiver.receive_nowait()


async def test_the_input_behind_a_log_is_proven_by_its_hash(dev: Dev) -> None:
    token = await dev.deploy_token(ALICE)
    raw, tx_hash = dev.sign(ALICE, 1, to=token, data=bytes.fromhex("18160ddd"), gas=60_000)
    await dev.client.send_raw(raw)
    assert await dev.client.get_input(tx_hash) == bytes.fromhex("18160ddd")  # while it waits
    await dev.mine()
    assert await dev.client.get_input(tx_hash) == bytes.fromhex("18160ddd")
