# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Inbox
@notice What L1 records: batches of the sequencer, and messages that anyone forces in. It stores hashes only; the data is in the
    calldata and the events.
@dev Frames follow the ABI arguments of `post` and are read from the calldata piece by piece: an argument of 100 KB would be copied to
    memory whole.
"""

# ---- constants

MAX_FRAMES: constant(uint256) = 16
MAX_DATA: constant(uint256) = 8256  # bytes of one frame's DEFLATE stream
MAX_SIGNATURES: constant(uint256) = 1024  # of one frame
SIGNATURE_BYTES: constant(uint256) = 65
CHUNK: constant(uint256) = 32  # signatures
CHUNK_BYTES: constant(uint256) = CHUNK * SIGNATURE_BYTES
MAX_CHUNKS: constant(uint256) = MAX_SIGNATURES // CHUNK
MAX_MESSAGES: constant(uint256) = 256  # that one batch consumes
MAX_ROWS: constant(uint256) = 1024  # bytes of one message
FRAME_HEAD: constant(uint256) = 12  # bytes: time 8, length of the data 2, number of signatures 2
FIRST_FRAME: constant(uint256) = 4 + 5 * 32
MAX_DEPTH: constant(uint256) = 16
QUEUE_SHARE: constant(uint256) = 4  # a 16th of an epoch's places are `post_queue`'s: else a sequencer could fill it and lock the queue out
VAULT_AUTHORITY: constant(uint256) = 1
INBOX_AUTHORITY: constant(uint256) = 2  # no key has this address, so nobody else sends with it
SHUTDOWN_ROW: constant(Bytes[2]) = b"\xc1\x0d"  # canonical RLP of [kind]
MESSAGE_FEE: constant(uint256) = 10**15  # wei, times the paid messages that wait
PAID: constant(uint256) = 64  # shift

# ---- immutables

SEQUENCER: public(immutable(address))
VAULT: public(immutable(address))
EPOCH_S: public(immutable(uint256))
INCLUSION_DELAY_S: public(immutable(uint256))
HEADER_WINDOW_S: public(immutable(uint256))
BATCH_DEPTH: public(immutable(uint256))
SILENCE_S: public(immutable(uint256))

# ---- storage

batch_count: public(uint256)
last_time: public(uint256)  # `last` of the newest batch
last_post: public(uint256)  # when the sequencer posted last, or the deployment
is_shut: public(bool)
message_count: public(uint256)
messages_consumed: public(uint256)
message_hashes: public(HashMap[uint256, bytes32])
_stamps: HashMap[uint256, uint256]  # by message: its time | how many up to it paid a fee << 64
last_epoch: public(uint256)  # the newest that is not empty
next_epoch: public(HashMap[uint256, uint256])  # of a non-empty one; 0 if it is the newest
_roots: HashMap[uint256, bytes32]  # of all epochs but the newest
_counts: HashMap[uint256, uint256]
_branch: bytes32[MAX_DEPTH + 1]  # of the newest epoch: the left siblings on the path of the next leaf

# ---- events

event BatchPosted:
    number: indexed(uint256)
    epoch: indexed(uint256)
    index: uint256
    first: uint256
    last: uint256
    message_start: uint256
    message_count: uint256
    messages: bytes32
    frame_count: uint256
    frames: bytes32

event MessageQueued:
    index: indexed(uint256)
    authority: indexed(address)
    time: uint256
    rows: Bytes[MAX_ROWS]
    signatures: Bytes[CHUNK_BYTES]


# ---- constructor

@deploy
def __init__(
    sequencer: address,
    vault: address,
    epoch_s: uint256,
    inclusion_delay_s: uint256,
    header_window_s: uint256,
    batch_depth: uint256,
    silence_s: uint256,
):
    assert epoch_s != 0 and batch_depth <= MAX_DEPTH and silence_s != 0, "inbox: bad parameters"
    SEQUENCER = sequencer
    VAULT = vault
    EPOCH_S = epoch_s
    INCLUSION_DELAY_S = inclusion_delay_s
    HEADER_WINDOW_S = header_window_s
    BATCH_DEPTH = batch_depth
    SILENCE_S = silence_s
    self.last_post = block.timestamp


# ---- external

@external
def post(number: uint256, first: uint256, last: uint256, message_count: uint256, frame_count: uint256):
    """
    @notice Post a batch; its frames follow the arguments (docs/contracts.md).
    @param number Of this batch. A batch that was sent again after a reorganisation must not land twice, and none of the sequencer's was made
        to stand behind another than the one it knew.
    @param first Earliest L2 time of the batch. @param last Its latest.
    @param message_count How many forced messages it consumes, before its frames.
    """
    # CHECK
    assert msg.sender == SEQUENCER, "inbox: not the sequencer"
    assert not self.is_shut, "inbox: shut down"
    assert number == self.batch_count, "inbox: another batch has this number"
    # an account that has delegated to code (EIP-7702) may be the origin and still call from inside, where no reader would find the frames
    assert msg.sender == tx.origin and msg.sender.codesize == 0, "inbox: not from an outside account"
    assert first <= last and last <= block.timestamp, "inbox: last out of range"
    assert first + HEADER_WINDOW_S >= block.timestamp and first >= self.last_time, "inbox: first out of range"
    assert message_count + frame_count != 0, "inbox: empty batch"
    places: uint256 = 1 << BATCH_DEPTH
    assert self._counts[block.timestamp // EPOCH_S] < places - (places >> QUEUE_SHARE), "inbox: the epoch is full"
    # COMPUTE
    digests: DynArray[bytes32, MAX_FRAMES] = []
    offset: uint256 = FIRST_FRAME
    for i: uint256 in range(frame_count, bound=MAX_FRAMES):
        digest: bytes32 = empty(bytes32)
        digest, offset = self._hash_frame(offset)
        digests.append(digest)
    assert offset == len(msg.data), "inbox: bytes after the last frame"
    # WRITE
    self.last_post = block.timestamp
    self._record(first, last, message_count, digests)


@external
def post_queue():
    """
    @notice Post a batch of forced messages alone, once the oldest has waited too long. Its L2 times are now; messages carry their
        own.
    """
    waiting: uint256 = self.message_count - self.messages_consumed
    assert waiting != 0 and self._is_overdue(self.messages_consumed), "inbox: no message is overdue"
    self._record(block.timestamp, block.timestamp, min(waiting, MAX_MESSAGES), [])


@external
@payable
def send(rows: Bytes[MAX_ROWS], signatures: Bytes[CHUNK_BYTES]) -> uint256:
    """
    @notice Force rows in, with the sender as their authority. The fee rises with the backlog of such messages and is burned: it stays
        here, and nothing pays out.
    """
    assert msg.value >= self._get_fee(), "inbox: fee too low"
    assert len(signatures) % SIGNATURE_BYTES == 0, "inbox: broken signatures"
    return self._queue(msg.sender, rows, signatures, 1)


@external
def send_deposit(rows: Bytes[MAX_ROWS]) -> uint256:
    """
    @notice Queue a deposit. Only the vault, which took the money. It pays no fee, and so raises nobody's.
    """
    assert msg.sender == VAULT, "inbox: not the vault"
    return self._queue(convert(convert(VAULT_AUTHORITY, uint160), address), rows, b"", 0)


@external
def shutdown() -> uint256:
    """
    @notice Shut the exchange down, once, when the sequencer has posted nothing for too long: what others post of the queue alone is no sign
        of its life. The sequencer never posts again, for then two would decide what comes next: whoever left everything unmarked for so
        long could come back and trade at old prices before the message is taken in, or leave it out for as long as it may. From here
        on `post_queue` is the only way on, for the oracles' last marks, the settlement and the withdrawals too.
    @return The index of the message. It pays no fee, and so raises nobody's.
    """
    # CHECK
    assert not self.is_shut, "inbox: shut down"
    assert block.timestamp >= self.last_post + SILENCE_S, "inbox: the sequencer is not silent"
    # WRITE
    self.is_shut = True
    return self._queue(convert(convert(INBOX_AUTHORITY, uint160), address), SHUTDOWN_ROW, b"", 0)


@external
@view
def fee() -> uint256:
    """
    @notice What the next `send` costs, in wei.
    """
    return self._get_fee()


@external
@view
def message_times(index: uint256) -> uint256:
    """
    @notice When a message was queued; 0 if there is none.
    """
    return self._get_time(index)


@external
@view
def get_epoch(epoch: uint256) -> (bytes32, uint256):
    """
    @notice Root of an epoch's batch records and their number.
    """
    count: uint256 = self._counts[epoch]
    if epoch == self.last_epoch:
        return self._compute_root(count), count
    return self._roots[epoch], count


# ---- internal

@internal
@view
def _get_fee() -> uint256:
    return MESSAGE_FEE * (self._count_paid(self.message_count) - self._count_paid(self.messages_consumed) + 1)


@internal
@view
def _count_paid(count: uint256) -> uint256:
    """
    @notice How many of the first `count` messages paid a fee.
    """
    if count == 0:
        return 0
    return self._stamps[count - 1] >> PAID


@internal
@view
def _get_time(index: uint256) -> uint256:
    return self._stamps[index] & (1 << PAID) - 1


@internal
@view
def _is_overdue(index: uint256) -> bool:
    return block.timestamp > self._get_time(index) + INCLUSION_DELAY_S


@internal
def _queue(authority: address, rows: Bytes[MAX_ROWS], signatures: Bytes[CHUNK_BYTES], fees: uint256) -> uint256:
    """
    @param fees 1 if the message paid a fee, else 0.
    """
    # COMPUTE
    chunks: DynArray[bytes32, 1] = []
    if len(signatures) != 0:
        chunks.append(keccak256(signatures))
    message: bytes32 = keccak256(abi_encode(block.timestamp, authority, keccak256(rows), keccak256(abi_encode(chunks))))
    # WRITE
    index: uint256 = self.message_count
    self.message_hashes[index] = message
    self._stamps[index] = self._count_paid(index) + fees << PAID | block.timestamp
    self.message_count = index + 1
    log MessageQueued(index=index, authority=authority, time=block.timestamp, rows=rows, signatures=signatures)
    return index


@internal
def _record(first: uint256, last: uint256, message_count: uint256, digests: DynArray[bytes32, MAX_FRAMES]):
    """
    @notice Consume the messages and append the batch's record to the epoch's tree.
    """
    # READ
    number: uint256 = self.batch_count
    start: uint256 = self.messages_consumed
    queued: uint256 = self.message_count
    # CHECK
    assert message_count <= MAX_MESSAGES and start + message_count <= queued, "inbox: no such messages"
    if message_count < MAX_MESSAGES and start + message_count < queued:
        assert not self._is_overdue(start + message_count), "inbox: an overdue message is left out"
    # COMPUTE
    taken: DynArray[bytes32, MAX_MESSAGES] = []
    for i: uint256 in range(message_count, bound=MAX_MESSAGES):
        taken.append(self.message_hashes[start + i])
    messages: bytes32 = keccak256(abi_encode(taken))
    frames: bytes32 = keccak256(abi_encode(digests))
    record: bytes32 = keccak256(abi_encode(number, first, last, start, message_count, messages, len(digests), frames))
    # WRITE
    self.batch_count = number + 1
    self.messages_consumed = start + message_count
    self.last_time = last
    epoch: uint256 = block.timestamp // EPOCH_S
    index: uint256 = self._append(epoch, record)
    log BatchPosted(
        number=number,
        epoch=epoch,
        index=index,
        first=first,
        last=last,
        message_start=start,
        message_count=message_count,
        messages=messages,
        frame_count=len(digests),
        frames=frames,
    )


@internal
def _append(epoch: uint256, record: bytes32) -> uint256:
    """
    @notice Incremental Merkle tree, as the deposit contract has it. A new epoch starts with count 0 and so never reads the branch that
        the one before left.
    @return The record's place in the epoch.
    """
    newest: uint256 = self.last_epoch
    if epoch != newest:
        self._roots[newest] = self._compute_root(self._counts[newest])
        self.next_epoch[newest] = epoch
        self.last_epoch = epoch
    index: uint256 = self._counts[epoch]
    count: uint256 = index + 1
    assert index >> BATCH_DEPTH == 0, "inbox: the epoch is full"
    self._counts[epoch] = count
    node: bytes32 = record
    for level: uint256 in range(MAX_DEPTH + 1):
        if (count >> level) & 1 == 1:
            self._branch[level] = node
            break
        node = keccak256(concat(self._branch[level], node))
    return index


@internal
@view
def _compute_root(count: uint256) -> bytes32:
    """
    @notice Root of the newest epoch's tree with `count` records; the rest of its leaves are zero.
    """
    if count >> BATCH_DEPTH != 0:
        return self._branch[BATCH_DEPTH]  # full
    node: bytes32 = empty(bytes32)
    zero: bytes32 = empty(bytes32)
    for level: uint256 in range(BATCH_DEPTH, bound=MAX_DEPTH):
        if (count >> level) & 1 == 1:
            node = keccak256(concat(self._branch[level], node))
        else:
            node = keccak256(concat(node, zero))
        zero = keccak256(concat(zero, zero))
    return node


@internal
@view
def _hash_frame(start: uint256) -> (bytes32, uint256):
    """
    @notice The digest of the frame at `start` of the calldata, and where it ends.
    """
    # READ
    head: uint256 = convert(slice(msg.data, start, FRAME_HEAD), uint256)
    time: uint256 = head >> 32
    length: uint256 = (head >> 16) & 65535
    signatures: uint256 = head & 65535
    # CHECK
    assert length != 0 and length <= MAX_DATA, "inbox: length of a frame"
    assert signatures <= MAX_SIGNATURES, "inbox: too many signatures"
    # COMPUTE
    offset: uint256 = start + FRAME_HEAD
    data: bytes32 = keccak256(self._get_bytes(offset, length))
    offset += length
    chunks: DynArray[bytes32, MAX_CHUNKS] = []
    for i: uint256 in range(signatures // CHUNK, bound=MAX_CHUNKS):
        chunks.append(keccak256(slice(msg.data, offset, CHUNK_BYTES)))
        offset += CHUNK_BYTES
    if signatures % CHUNK != 0:
        length = signatures % CHUNK * SIGNATURE_BYTES
        chunks.append(keccak256(self._get_bytes(offset, length)))
        offset += length
    return keccak256(abi_encode(time, data, keccak256(abi_encode(chunks)))), offset


@internal
@view
def _get_bytes(start: uint256, length: uint256) -> Bytes[2 * MAX_DATA]:
    """
    @notice `length` bytes of the calldata. The compiler slices calldata by constant lengths only, so this takes a window of the largest
        length: forward if the
        calldata is long enough, else backward, else (it is short then) the whole.
    """
    end: uint256 = start + length
    assert end <= len(msg.data), "inbox: a frame runs over the end"
    if start + MAX_DATA <= len(msg.data):
        return slice(slice(msg.data, start, MAX_DATA), 0, length)
    if end >= MAX_DATA:
        return slice(slice(msg.data, end - MAX_DATA, MAX_DATA), MAX_DATA - length, length)
    whole: Bytes[2 * MAX_DATA] = raw_call(
        0x0000000000000000000000000000000000000004, msg.data, max_outsize=2 * MAX_DATA, is_static_call=True
    )
    return slice(whole, start, length)
