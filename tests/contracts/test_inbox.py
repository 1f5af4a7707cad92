"""What L1 records equals what the codec computes, and the inbox refuses everything else."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import load_artifact
from protocol.codec.frames import (
    Frame,
    Message,
    compute_inbox_root,
    compute_message_hash,
    compute_record,
    decode_payload,
    encode_payload,
)
from protocol.codec.rows import encode_row
from protocol.operations import build_shutdown
from protocol.types import INBOX_AUTHORITY, VAULT_AUTHORITY, Record, compute_record_hash
from sim.evm import Result, Reverted
from tests.contracts.world import Times, World, deploy_toy

RECORD_FIELDS = ("number", "first", "last", "message_start", "message_count", "messages", "frame_count", "frames")
VAULT = "0x" + f"{VAULT_AUTHORITY:040x}"


def read_record(result: Result) -> Record:
    event = result.get_event("BatchPosted")
    return Record(*(event[name] for name in RECORD_FIELDS))


def post(world: World, first: int, last: int, messages: int = 0, frames: int = 0, payload: bytes = b"", sender: str = "") -> Result:
    call = get(world, "batch_count"), first, last, messages, frames
    return world.evm.transact(sender or world.sequencer, world.inbox, "post", *call, extra_calldata=payload)


def send(world: World, who: str, rows: bytes = b"rows", signatures: bytes = b"") -> Message:
    fee = world.evm.call(world.inbox, "fee")
    result = world.evm.transact(who, world.inbox, "send", rows, signatures, value=fee)
    event = result.get_event("MessageQueued")
    assert (event["index"], event["authority"], event["rows"], event["signatures"]) == (result.value, who, rows, signatures)
    return Message(event["time"], int(who, 16), rows, signatures)


def get(world: World, view: str, *args: Any) -> Any:
    return world.evm.call(world.inbox, view, *args)


# Lengths around every way in which the contract reads the calldata: windows of 8,256 bytes forward and backward, and short calldata whole.
LENGTHS = st.one_of(st.integers(1, 300), st.integers(3_900, 4_400), st.integers(7_900, 8_256), st.just(8_256))
COUNTS = st.one_of(st.integers(0, 3), st.sampled_from([31, 32, 33, 63, 64, 65, 127, 128, 1_023, 1_024]))


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), LENGTHS, COUNTS), min_size=1, max_size=4), st.integers(0, 2**32))
@settings(max_examples=40)
def test_frames_are_hashed_as_the_codec_does(shapes: list[tuple[int, int, int]], seed: int) -> None:
    world = World()
    rng = random.Random(seed)
    frames = [Frame(time, rng.randbytes(length), rng.randbytes(65 * count)) for time, length, count in shapes]
    now = world.evm.timestamp
    record = read_record(post(world, now - 5, now, 0, len(frames), encode_payload(frames)))
    assert record == compute_record(0, now - 5, now, 0, (), frames)


def test_sixteen_frames_and_no_seventeenth() -> None:
    world = World()
    now = world.evm.timestamp
    frames = [Frame(i, b"x", b"") for i in range(16)]
    assert read_record(post(world, now, now, 0, 16, encode_payload(frames))) == compute_record(0, now, now, 0, (), frames)
    with pytest.raises(Reverted):
        post(world, now, now, 0, 17, encode_payload(frames) + encode_payload(frames[:1]))


def test_broken_framing_reverts_as_the_codec_refuses_it() -> None:
    """Cut at every byte, extended by one, empty or long data, too many signatures."""
    world = World()
    now = world.evm.timestamp
    whole = encode_payload([Frame(1, b"data", bytes(65)), Frame(2, b"more", bytes(130))])
    for payload in [whole[:cut] for cut in range(0, len(whole), 7)] + [whole[:-1], whole + b"\0"]:
        assert decode_payload(payload, 2) is None
        with pytest.raises(Reverted):
            post(world, now, now, 0, 2, payload)
    head = (1).to_bytes(8, "big")
    for length, count in ((0, 0), (8_257, 0), (1, 1_025)):
        payload = head + length.to_bytes(2, "big") + count.to_bytes(2, "big") + bytes(length + 65 * count)
        assert decode_payload(payload, 1) is None
        with pytest.raises(Reverted):
            post(world, now, now, 0, 1, payload)
    post(world, now, now, 0, 2, whole)


def test_times_of_a_batch_at_their_edges() -> None:
    world = World()
    payload, window = encode_payload([Frame(0, b"x", b"")]), world.times.header_window_s
    now = world.evm.timestamp
    for first, last in ((now, now + 1), (now, now - 1), (now - window - 1, now)):
        with pytest.raises(Reverted, match="out of range"):
            post(world, first, last, 0, 1, payload)
    post(world, now - window, now - 10, 0, 1, payload)
    with pytest.raises(Reverted, match="first out of range"):
        post(world, now - 11, now, 0, 1, payload)
    post(world, now - 10, now, 0, 1, payload)
    assert get(world, "last_time") == now


def test_only_the_sequencers_own_transaction_posts() -> None:
    world = World()
    now = world.evm.timestamp
    payload = encode_payload([Frame(0, b"x", b"")])
    with pytest.raises(Reverted, match="not the sequencer"):
        post(world, now, now, 0, 1, payload, sender=world.deployer)
    with pytest.raises(Reverted, match="empty batch"):
        post(world, now, now)
    forwarder = deploy_toy(world.evm, world.deployer, "Forwarder")
    # a deployment whose sequencer is a contract
    odd = world.evm.deploy(world.deployer, load_artifact("Inbox"), forwarder.address, world.vault.address, 10, 10, 600, 3, 1_000)
    with pytest.raises(Reverted, match="outside account"):
        world.evm.transact(world.deployer, forwarder, "forward", odd.address, odd.encode("post", 0, now, now, 0, 1) + payload)


def test_a_batch_lands_at_its_number_or_not_at_all() -> None:
    """The same transaction sent twice, or one that expects another batch before it."""
    world = World()
    now = world.evm.timestamp
    payload = encode_payload([Frame(0, b"x", b"")])

    def land(number: int) -> Result:
        return world.evm.transact(world.sequencer, world.inbox, "post", number, now, now, 0, 1, extra_calldata=payload)

    for number in (1, 2, 2**256 - 1):
        with pytest.raises(Reverted, match="another batch has this number"):
            land(number)
    assert read_record(land(0)) == compute_record(0, now, now, 0, (), [Frame(0, b"x", b"")])
    with pytest.raises(Reverted, match="another batch has this number"):
        land(0)
    assert read_record(land(1)).number == 1


def test_somebody_elses_batch_in_between_makes_the_sequencers_revert() -> None:
    world = World()
    alice = world.evm.create_account()
    send(world, alice)
    world.evm.advance(world.times.inclusion_delay_s + 1)
    number = get(world, "batch_count")
    world.evm.transact(alice, world.inbox, "post_queue")
    now = world.evm.timestamp
    payload = encode_payload([Frame(0, b"x", b"")])
    with pytest.raises(Reverted, match="another batch has this number"):
        world.evm.transact(world.sequencer, world.inbox, "post", number, now, now, 0, 1, extra_calldata=payload)


def test_messages_are_hashed_as_the_codec_does_and_consumed_in_order() -> None:
    world = World()
    alice = world.evm.create_account()
    messages = [send(world, alice), send(world, alice, b"", bytes(65)), send(world, alice, bytes(1_024), bytes(65 * 32))]
    assert [get(world, "message_hashes", i) for i in range(3)] == [compute_message_hash(message) for message in messages]
    now = world.evm.timestamp
    record = read_record(post(world, now, now, 2))
    assert record == compute_record(0, now, now, 0, messages[:2], ())
    with pytest.raises(Reverted, match="no such messages"):
        post(world, now, now, 2)
    frames = [Frame(now, b"x", b"")]
    assert read_record(post(world, now, now, 1, 1, encode_payload(frames))) == compute_record(1, now, now, 2, messages[2:], frames)


def test_what_a_message_must_be() -> None:
    world = World()
    alice = world.evm.create_account()
    fee = get(world, "fee")
    for rows, signatures, value in ((b"", b"", fee - 1), (b"", bytes(64), fee), (bytes(1_025), b"", fee), (b"", bytes(65 * 33), fee)):
        with pytest.raises(Reverted):
            world.evm.transact(alice, world.inbox, "send", rows, signatures, value=value)
    with pytest.raises(Reverted, match="not the vault"):
        world.evm.transact(alice, world.inbox, "send_deposit", b"")


def test_the_fee_rises_with_the_backlog_and_falls_when_it_is_consumed() -> None:
    world = World()
    alice = world.evm.create_account()
    fees = []
    for _ in range(4):
        fees.append(get(world, "fee"))
        send(world, alice)
    assert fees == [fees[0] * n for n in (1, 2, 3, 4)]
    assert world.evm.get_balance(world.inbox.address) == sum(fees)
    post(world, world.evm.timestamp, world.evm.timestamp, 4)
    assert get(world, "fee") == fees[0]


@given(st.lists(st.sampled_from(["send", "deposit", "post 1", "post 3", "wait"]), max_size=25))
@settings(max_examples=15)
def test_the_fee_counts_the_paid_messages_that_wait(calls: list[str]) -> None:
    """Whatever the order of forced messages and deposits, and wherever the queue was cut."""
    world = World()
    alice = world.evm.create_account()
    world.evm.transact(alice, world.token, "mint", alice, 10**10)
    world.evm.transact(alice, world.token, "approve", world.vault.address, 10**10)
    unit = get(world, "fee")
    queued: list[tuple[bool, int]] = []
    consumed = 0
    for call in calls:
        now = world.evm.timestamp
        if call == "wait":
            world.evm.advance(1)
        elif call == "send":
            send(world, alice)
            queued.append((True, now))
        elif call == "deposit":
            world.evm.transact(alice, world.vault, "deposit", 10**7)
            queued.append((False, now))
        elif consumed < len(queued):
            count = min(int(call[5:]), len(queued) - consumed)
            world.post(messages=count)
            consumed += count
        assert get(world, "fee") == unit * (1 + sum(is_paid for is_paid, _ in queued[consumed:]))
    assert [get(world, "message_times", i) for i in range(len(queued) + 1)] == [*(time for _, time in queued), 0]


def test_overdue_messages_must_be_consumed() -> None:
    """Overdue is `now > time + delay`: not yet at the delay itself."""
    world = World()
    alice = world.evm.create_account()
    delay = world.times.inclusion_delay_s
    send(world, alice)
    send(world, alice)
    world.evm.advance(delay)
    send(world, alice)
    payload = encode_payload([Frame(0, b"x", b"")])
    post(world, world.evm.timestamp, world.evm.timestamp, 0, 1, payload)
    with pytest.raises(Reverted, match="no message is overdue"):
        world.evm.transact(alice, world.inbox, "post_queue")
    world.evm.advance(1)
    now = world.evm.timestamp
    for count in (0, 1):
        with pytest.raises(Reverted, match="an overdue message is left out"):
            post(world, now, now, count, 1, payload)
    post(world, now, now, 2, 1, payload)
    assert get(world, "messages_consumed") == 2


def test_anyone_posts_the_queue_when_the_sequencer_is_gone() -> None:
    world = World()
    alice = world.evm.create_account()
    post(world, world.evm.timestamp, world.evm.timestamp, 0, 1, encode_payload([Frame(0, b"x", b"")]))
    messages = [send(world, alice, b"%d" % i) for i in range(258)]
    world.evm.advance(world.times.inclusion_delay_s + 1)
    now = world.evm.timestamp
    record = read_record(world.evm.transact(alice, world.inbox, "post_queue"))
    assert record == compute_record(1, now, now, 0, messages[:256], ())
    # 256 at most, also where more are overdue
    world.evm.advance(1)
    record = read_record(world.evm.transact(alice, world.inbox, "post_queue"))
    assert record == compute_record(2, now + 1, now + 1, 256, messages[256:], ())
    assert get(world, "last_time") == now + 1
    with pytest.raises(Reverted, match="no message is overdue"):
        world.evm.transact(alice, world.inbox, "post_queue")


def test_no_batch_takes_more_than_256_messages() -> None:
    world = World()
    alice = world.evm.create_account()
    for _ in range(257):
        send(world, alice)
    world.evm.advance(world.times.inclusion_delay_s + 1)
    now = world.evm.timestamp
    with pytest.raises(Reverted):
        post(world, now, now, 257)
    with pytest.raises(Reverted, match="left out"):
        post(world, now, now, 255)
    assert read_record(post(world, now, now, 256)).message_count == 256


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_epochs_tree_is_the_codecs_at_every_count_and_full_epochs_revert(depth: int) -> None:
    world = World(batch_depth=depth, times=Times(epoch_s=1_000))
    hashes: list[bytes] = []
    epochs = []
    for epoch in range(2):
        world.evm.set_time((world.evm.timestamp // 1_000 + 1 + 2 * epoch) * 1_000)
        number = world.evm.timestamp // 1_000
        hashes = []
        for index in range(1 << depth):
            result = world.post([Frame(0, b"x", b"")])
            event = result.get_event("BatchPosted")
            assert (event["epoch"], event["index"]) == (number, index)
            hashes.append(compute_record_hash(read_record(result)))
            assert get(world, "get_epoch", number) == (compute_inbox_root(hashes, depth), index + 1)
        with pytest.raises(Reverted, match="the epoch is full"):
            world.post([Frame(0, b"x", b"")])
        epochs.append((number, compute_inbox_root(hashes, depth)))
    (first, first_root), (second, _) = epochs
    assert get(world, "get_epoch", first) == (first_root, 1 << depth)
    assert second > first + 1
    assert [get(world, "next_epoch", epoch) for epoch in (0, first, second)] == [first, second, 0]
    assert get(world, "get_epoch", first + 1)[1] == 0


# -- shutdown


def shut(world: World, who: str = "") -> Message:
    """By anyone; the message as the machine will read it."""
    result = world.evm.transact(who or world.evm.create_account(), world.inbox, "shutdown")
    event = result.get_event("MessageQueued")
    assert result.value == event["index"]
    message = Message(event["time"], int(event["authority"], 16), event["rows"], event["signatures"])
    assert get(world, "message_hashes", result.value) == compute_message_hash(message)
    return message


def test_anyone_shuts_down_after_a_silence_counted_from_the_deployment() -> None:
    world = World()
    start, silence = get(world, "last_post"), world.times.silence_s
    assert start <= world.evm.timestamp < start + silence
    world.evm.set_time(start + silence - 1)
    with pytest.raises(Reverted, match="not silent"):
        shut(world)
    world.evm.set_time(start + silence)
    fee = get(world, "fee")
    message = shut(world)
    assert message == Message(start + silence, INBOX_AUTHORITY, encode_row(build_shutdown()), b"")
    assert get(world, "is_shut")
    assert get(world, "fee") == fee  # it paid none, and so raises nobody's


def test_only_the_sequencers_own_batches_are_a_sign_of_life() -> None:
    world = World()
    alice, silence = world.evm.create_account(), world.times.silence_s
    world.evm.advance(silence - 1)
    world.post([Frame(0, b"x", b"")])
    posted = get(world, "last_post")
    assert posted == world.evm.timestamp
    world.evm.advance(silence - 1)
    send(world, alice)
    with pytest.raises(Reverted, match="not silent"):
        shut(world)
    world.evm.set_time(posted + silence + world.times.inclusion_delay_s)
    world.evm.transact(alice, world.inbox, "post_queue")
    assert get(world, "last_post") == posted
    assert shut(world, alice).authority == INBOX_AUTHORITY


def test_after_a_shutdown_only_the_queue_goes_on() -> None:
    world = World()
    alice = world.evm.create_account()
    world.evm.advance(world.times.silence_s)
    first = shut(world)
    with pytest.raises(Reverted, match="shut down"):
        shut(world)
    for messages in (0, 1):
        with pytest.raises(Reverted, match="shut down"):
            world.post([Frame(0, b"x", b"")], messages)
    second = send(world, alice)
    world.evm.advance(world.times.inclusion_delay_s + 1)
    with pytest.raises(Reverted, match="shut down"):
        world.post([], 2)
    now = world.evm.timestamp
    record = read_record(world.evm.transact(alice, world.inbox, "post_queue"))
    assert record == compute_record(0, now, now, 0, [first, second], ())
    world.evm.advance(10 * world.times.silence_s)
    with pytest.raises(Reverted, match="shut down"):
        shut(world)


def test_nobody_else_has_the_inboxes_authority() -> None:
    """A message has its sender's address as authority, or the vault's 1; address 2 is a precompile, and no key is known for it."""
    world = World()
    message = send(world, world.evm.create_account(), encode_row(build_shutdown()))
    assert message.authority not in (VAULT_AUTHORITY, INBOX_AUTHORITY)
    with pytest.raises(Reverted, match="not the vault"):
        world.evm.transact(world.sequencer, world.inbox, "send_deposit", encode_row(build_shutdown()))
