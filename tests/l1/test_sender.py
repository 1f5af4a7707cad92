"""The transaction sender against a chain that reorganises, drops and delays, through the devnet's socket."""

from typing import Any

import httpx
import pytest
import trio

from l1.abi import decode_reason, encode_call
from l1.client import Client, WrongChain
from l1.keys import Key
from l1.provider import Provider
from l1.sender import MemoryJournal, NotSent, Sender
from l1.sender_queue import Policy
from tests.l1.devchain import KEYS, TRANSFER_GAS, Dev, open_sender, wait_until
from tests.l1.test_provider import serve

ALICE, BOB = KEYS[0], KEYS[1]


class Tracked:
    """A running sender and what it logged."""

    def __init__(self, dev: Dev, key: Key, **options: Any) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.sender: Sender = open_sender(dev, key, log=lambda name, fields: self.events.append((name, fields)), **options)

    def get_hashes(self) -> list[bytes]:
        return [bytes.fromhex(fields["hash"]) for name, fields in self.events if name == "l1.sent"]

    async def wait_sent(self, count: int) -> list[bytes]:
        """Hashes in the order of sending, once there are that many."""

        async def is_sent() -> bool:
            return len(self.get_hashes()) >= count

        await wait_until(is_sent)
        return self.get_hashes()


async def test_concurrent_sends_all_land_once_and_in_order(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    receipts = []

    async def send(value: int) -> None:
        receipts.append(await tracked.sender.send(BOB.address, b"", value, TRANSFER_GAS))

    before = await dev.client.get_balance(BOB.address)
    with trio.fail_after(10):
        async with trio.open_nursery() as senders:
            for value in range(1, 21):
                senders.start_soon(send, value)
            await tracked.wait_sent(20)
            await dev.mine(2)
    assert len({receipt.tx_hash for receipt in receipts}) == 20
    assert await dev.client.get_nonce(ALICE.address) == 20
    assert await dev.client.get_balance(BOB.address) == before + sum(range(1, 21))


async def test_confirmed_means_deep_enough(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE, policy=Policy(depth=3))
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 1)
    await tracked.wait_sent(1)
    await dev.mine(2)
    await trio.sleep(0.2)
    assert [intent.number for intent in tracked.sender.pending] == [number]
    await dev.mine()
    with trio.fail_after(5):
        assert (await tracked.sender.wait(number)).ok


async def test_a_stuck_transaction_is_replaced_at_higher_fees_and_lands_once(dev: Dev, nursery: trio.Nursery) -> None:
    await dev.rpc("devnet_setMinTip", 1_200_000_000)
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 7)
    before = await dev.client.get_balance(BOB.address)
    sent = 1
    while len(tracked.sender.pending) and sent < 5:
        await tracked.wait_sent(sent)
        await dev.mine(2)
        await trio.sleep(0.2)
        sent = len(tracked.get_hashes())
    await dev.mine(2)
    with trio.fail_after(5):
        receipt = await tracked.sender.wait(number)
    hashes = tracked.get_hashes()
    assert len(hashes) >= 3  # 1, 1.125 and 1.266 gwei
    assert receipt.tx_hash == hashes[-1]
    assert await dev.client.get_balance(BOB.address) == before + 7
    assert await dev.client.get_nonce(ALICE.address) == 1


async def test_fees_stop_at_the_limit(dev: Dev, nursery: trio.Nursery) -> None:
    await dev.rpc("devnet_setMinTip", 10**12)
    tracked = Tracked(dev, ALICE, policy=Policy(depth=2, patience=1, max_cap=4 * 10**9))
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 7)
    await tracked.wait_sent(1)
    for _ in range(12):
        await dev.mine()
        await trio.sleep(0.05)
    (intent,) = tracked.sender.pending
    assert 1 < len(intent.attempts) < 12
    assert all(attempt.tip <= attempt.cap <= 4 * 10**9 for attempt in intent.attempts)
    await dev.rpc("devnet_setMinTip", 0)
    await dev.mine(2)
    with trio.fail_after(5):
        assert (await tracked.sender.wait(number)).ok


async def test_a_dropped_transaction_is_sent_again(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 7)
    (tx_hash,) = await tracked.wait_sent(1)
    await dev.rpc("anvil_dropTransaction", "0x" + tx_hash.hex())
    assert await tracked.wait_sent(2) == [tx_hash, tx_hash]
    await dev.mine(2)
    with trio.fail_after(5):
        assert (await tracked.sender.wait(number)).tx_hash == tx_hash


@pytest.mark.parametrize("keep", [True, False])
async def test_a_reorganised_transaction_is_sent_again(dev: Dev, nursery: trio.Nursery, keep: bool) -> None:
    tracked = Tracked(dev, ALICE, policy=Policy(depth=3, patience=3))
    await nursery.start(tracked.sender.run)
    numbers = [await tracked.sender.submit(BOB.address, b"", value) for value in (1, 2)]
    hashes = await tracked.wait_sent(2)
    await dev.mine(2)
    await trio.sleep(0.1)
    await dev.reorg(2, keep=keep)
    if not keep:
        assert set((await tracked.wait_sent(4))[2:]) == set(hashes)
    await dev.mine(3)
    with trio.fail_after(5):
        for number, tx_hash in zip(numbers, hashes, strict=True):
            receipt = await tracked.sender.wait(number)
            assert receipt.tx_hash == tx_hash
            header = await dev.client.get_header(receipt.block_number)
            assert header is not None
            assert header.hash == receipt.block_hash
    assert await dev.client.get_nonce(ALICE.address) == 2


async def test_a_reorganisation_deeper_than_the_depth_does_not_wedge_later_transactions(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE, policy=Policy(depth=1, patience=2))
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 1)
    await tracked.wait_sent(1)
    await dev.mine()
    with trio.fail_after(5):
        await tracked.sender.wait(number)
    await dev.reorg(1, keep=False)  # the finished transaction is gone, and its nonce with it
    later = await tracked.sender.submit(BOB.address, b"", 2)
    await tracked.wait_sent(2)
    async with trio.open_nursery() as mining:

        async def mine() -> None:
            while True:
                await dev.mine()
                await trio.sleep(0.1)

        mining.start_soon(mine)
        with trio.fail_after(10):
            assert (await tracked.sender.wait(later)).ok
        mining.cancel_scope.cancel()


async def test_a_reverted_transaction_is_a_receipt_with_its_reason(dev: Dev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(BOB)
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(token, encode_call("Token", "transfer", (7, 10**9)), 0, 100_000)
    await tracked.wait_sent(1)
    await dev.mine(2)
    with trio.fail_after(5):
        receipt = await tracked.sender.wait(number)
    assert not receipt.ok
    assert receipt.reason is not None
    assert receipt.gas_used < 100_000
    assert isinstance(decode_reason(receipt.reason), str)


async def test_a_creation_tells_its_address(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(b"", bytes.fromhex("60015f5360015ff3"), 0, 100_000)  # leaves the code 01
    await tracked.wait_sent(1)
    await dev.mine(2)
    with trio.fail_after(5):
        receipt = await tracked.sender.wait(number)
    assert receipt.contract is not None
    assert await dev.client.get_code(receipt.contract) == b"\x01"


async def test_what_is_refused_for_good_fails_without_blocking_the_rest(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    bad = await tracked.sender.submit(BOB.address, b"", 1, 20_000)  # below the intrinsic gas
    good = await tracked.sender.submit(BOB.address, b"", 2)
    await tracked.wait_sent(2)
    await dev.mine(2)
    with trio.fail_after(5):
        with pytest.raises(NotSent, match="intrinsic gas"):
            await tracked.sender.wait(bad)
        assert (await tracked.sender.wait(good)).ok
    assert await dev.client.get_nonce(ALICE.address) == 2


async def test_an_intent_can_be_cancelled_until_it_lands(dev: Dev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    before = await dev.client.get_balance(BOB.address)
    first = await tracked.sender.submit(BOB.address, b"", 1)
    await tracked.wait_sent(1)
    await tracked.sender.cancel(first)
    await tracked.wait_sent(2)
    await dev.mine(2)
    with trio.fail_after(5), pytest.raises(NotSent, match="cancelled"):
        await tracked.sender.wait(first)
    second = await tracked.sender.submit(BOB.address, b"", 2)
    await tracked.wait_sent(3)
    await dev.mine()
    await tracked.sender.cancel(second)  # too late
    await dev.mine()
    with trio.fail_after(5):
        assert (await tracked.sender.wait(second)).ok
    assert await dev.client.get_balance(BOB.address) == before + 2


async def test_a_nonce_that_another_program_used_is_reported(dev: Dev, nursery: trio.Nursery) -> None:
    await dev.rpc("devnet_setMinTip", 5 * 10**9)
    tracked = Tracked(dev, ALICE, policy=Policy(depth=2, patience=3))
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 1)
    await tracked.wait_sent(1)
    await dev.send(ALICE, 0, maxPriorityFeePerGas=9 * 10**9)  # a second program with the same key
    await dev.mine()
    await dev.mine(5)
    with trio.fail_after(5), pytest.raises(NotSent, match="nonce_taken"):
        await tracked.sender.wait(number)


async def test_after_a_kill_the_journal_goes_on_with_the_same_nonces(dev: Dev) -> None:
    """Killed at three moments: before anything was sent, while it waits, and when it has landed unseen."""
    journal = MemoryJournal()
    before = await dev.client.get_balance(BOB.address)
    for key, mined_unseen in (("a", 0), ("b", 0), ("c", 2)):
        async with trio.open_nursery() as nursery:
            tracked = Tracked(dev, ALICE, journal=journal)
            await nursery.start(tracked.sender.run)
            await tracked.sender.submit(BOB.address, b"", 5, key=key)
            if key != "a":
                await tracked.wait_sent(1)
            nursery.cancel_scope.cancel()
        await dev.mine(mined_unseen)
    async with trio.open_nursery() as nursery:
        tracked = Tracked(dev, ALICE, journal=journal)
        await nursery.start(tracked.sender.run)
        numbers = [await tracked.sender.submit(BOB.address, b"", 5, key=key) for key in ("a", "b", "c")]
        assert numbers == [1, 2, 3]
        await trio.sleep(0.2)
        await dev.mine(2)
        with trio.fail_after(5):
            for number in numbers:
                assert (await tracked.sender.wait(number)).ok
        nursery.cancel_scope.cancel()
    assert await dev.client.get_nonce(ALICE.address) == 3
    assert await dev.client.get_balance(BOB.address) == before + 15
    async with trio.open_nursery() as nursery:  # finished intents are still known by their keys
        tracked = Tracked(dev, ALICE, journal=journal)
        await nursery.start(tracked.sender.run)
        with trio.fail_after(5):
            assert (await tracked.sender.send(BOB.address, b"", 5, key="b")).ok
        assert tracked.sender.pending == ()
        nursery.cancel_scope.cancel()
    assert await dev.client.get_nonce(ALICE.address) == 3


async def test_an_endpoint_that_is_down_delays_and_loses_nothing(dev: Dev, nursery: trio.Nursery) -> None:
    """Behind a port that nobody answers on at first."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    target = int(dev.url.rsplit(":", 1)[1])
    async with Provider(f"http://127.0.0.1:{port}", attempts=1) as provider:
        sender = Sender(Client(provider), ALICE, 31337, MemoryJournal(), Policy(depth=1), poll_s=0.02)
        nursery.start_soon(sender.run)
        await trio.sleep(0.1)
        with trio.move_on_after(0.1) as waited:
            await sender.submit(BOB.address, b"", 1)
        assert waited.cancelled_caught  # it knows no nonce yet, and says nothing instead of something wrong
        nursery.start_soon(forward, port, target)
        with trio.fail_after(5):
            number = await sender.submit(BOB.address, b"", 1)
            await wait_until(lambda: _has_pending(dev))
            await dev.mine()
            assert (await sender.wait(number)).ok
        nursery.cancel_scope.cancel()


async def test_on_a_young_chain_its_own_transaction_is_not_taken_for_anothers(dev: Dev, nursery: trio.Nursery) -> None:
    """Behind an endpoint that includes the transaction just after it was asked for the receipt, and answers for the block that was the
    newest until then with the state of the next, as anvil does while it mines."""
    is_mined = False

    async def relay(requests: Any) -> bytes:
        nonlocal is_mined
        if isinstance(requests, dict):
            is_early = requests["method"] == "eth_getTransactionCount" and requests["params"][1] == "0x0"
            return await ask(requests | {"params": [requests["params"][0], "latest"]} if is_early else requests)
        answer = await ask(requests)
        if requests[0]["method"] == "eth_getTransactionByHash" and not is_mined:
            is_mined = True
            await dev.mine()
        return answer

    async def ask(body: Any) -> bytes:
        return (await http.post(dev.url, json=body)).content

    async with httpx.AsyncClient(trust_env=False) as http, serve(relay) as (url, _), Provider(url, attempts=1) as provider:
        sender = Sender(Client(provider), ALICE, 31337, MemoryJournal(), Policy(depth=1), poll_s=0.02)
        nursery.start_soon(sender.run)
        with trio.fail_after(5):
            assert (await sender.send(BOB.address, b"", 1)).ok
        nursery.cancel_scope.cancel()


async def _has_pending(dev: Dev) -> bool:
    return bool((await dev.rpc("txpool_status"))["pending"] != "0x0")


async def forward(port: int, target: int) -> None:
    """A byte-wise relay."""

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        async for data in source:
            await sink.send_all(data)

    async def relay(stream: trio.SocketStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", target) as other, trio.open_nursery() as pumps:
            pumps.start_soon(pump, stream, other)
            pumps.start_soon(pump, other, stream)

    await trio.serve_tcp(relay, port, host="127.0.0.1")


async def test_the_wrong_chain_is_a_configuration_error(dev: Dev) -> None:
    sender = Sender(dev.client, ALICE, 5, MemoryJournal())
    with pytest.raises(WrongChain):
        await sender.run()


async def test_what_cannot_be_paid_is_told_at_once_and_holds_nothing_up(dev: Dev, nursery: trio.Nursery) -> None:
    """A stake that is not there must not stand in front of a move that has a deadline."""
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    balance = await dev.client.get_balance(ALICE.address)
    with trio.fail_after(10):
        with pytest.raises(NotSent, match="funds"):
            await tracked.sender.submit(BOB.address, b"", balance, TRANSFER_GAS, "stake")
        number = await tracked.sender.submit(BOB.address, b"", balance // 2, TRANSFER_GAS, "half")
        with pytest.raises(NotSent, match="funds"):
            await tracked.sender.submit(BOB.address, b"", balance // 2, TRANSFER_GAS, "other half")
        assert await tracked.sender.submit(BOB.address, b"", balance // 2, TRANSFER_GAS, "half") == number
        move = await tracked.sender.submit(BOB.address, b"", 0, TRANSFER_GAS)
        await tracked.wait_sent(2)
        await dev.mine(2)
        assert (await tracked.sender.wait(move)).ok


async def test_after_a_restart_what_a_reorganisation_took_away_is_not_waited_for(dev: Dev, nursery: trio.Nursery) -> None:
    """The journal says that it is done, and the chain has forgotten it: the caller must hear of that, and send anew."""
    journal, policy = MemoryJournal(), Policy(depth=1, patience=1)
    async with trio.open_nursery() as first:
        tracked = Tracked(dev, ALICE, journal=journal, policy=policy)
        await first.start(tracked.sender.run)
        number = await tracked.sender.submit(BOB.address, b"", 5, key="move#0")
        await tracked.wait_sent(1)
        await dev.mine()
        with trio.fail_after(5):
            assert (await tracked.sender.wait(number)).ok
        first.cancel_scope.cancel()
    await dev.reorg(1, keep=False)
    tracked = Tracked(dev, ALICE, journal=journal, policy=policy)
    await nursery.start(tracked.sender.run)
    await dev.mine(6)
    with trio.fail_after(5), pytest.raises(NotSent, match="undone"):
        await tracked.sender.send(BOB.address, b"", 5, key="move#0")
    nursery.cancel_scope.cancel()
