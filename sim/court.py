"""A whole deployment on the in-process chain: every real contract, batches in the real inbox, claims before the real judge.

What happened is kept as blocks with the events of `l1.contracts`, in the form in which a daemon would have read them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from l1.abi import to_abi
from l1.contracts import EVENTS, Event, PositionView
from l1.deploy import STEP_NAMES, Plan, list_constructors, predict_addresses
from l1.shapes import Header
from protocol.codec.frames import Batch, Message, compute_inbox_root, compute_message_hash, encode_payload
from protocol.codec.rows import decode_row
from protocol.duel import find_difference
from protocol.history import REVEAL_HEIGHT, Commitment, History
from protocol.keccak import ZERO, encode_word, keccak
from protocol.params import Params
from protocol.rules import Rules
from protocol.signing import compute_domain
from protocol.types import INBOX_AUTHORITY, VAULT_AUTHORITY, compute_record_hash
from sim.evm import TX_GAS_LIMIT, Abi, Artifact, Contract, Evm, Result, Reverted, get_type
from sim.scribe import CHAIN_ID, get_address, make_key

GAS_PRICE = 10**9
STRANGER = 0x57A6


@dataclass(frozen=True)
class Block:
    """One transaction's events, or none: the chain has a block for each."""

    header: Header
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Receipt:
    """A transaction that succeeded: who sent it, which function (`Claims.descend`), and what it cost."""

    sender: int
    function: str
    gas: int
    arguments: tuple[Any, ...] = ()
    block: int = 0  # its place in `Court.blocks`


@dataclass(frozen=True)
class Failure:
    """A transaction that reverted, and why."""

    sender: int
    function: str
    reason: str


@dataclass(frozen=True)
class Point:
    """Of the chain, to which a reorganisation may lead back. Good for once."""

    state: Any
    blocks: int
    receipts: int
    funded: frozenset[int]


Watcher = Callable[[int, str, str, tuple[Any, ...]], None]  # of the mempool: sender, contract, function, arguments


def encode_address(address: int) -> str:
    """As the in-process chain names accounts."""
    return "0x" + address.to_bytes(20, "big").hex()


def get_oracles(params: Params) -> tuple[int, ...]:
    """Those whose keys `sim.scribe.Scribe` has."""
    return tuple(get_address(make_key(1_000_000 + i)) for i in range(params.oracle_count))


class Court:
    """One deployment of the preset `params`. `load` gives built artifacts (`contracts.load_artifact`).

    Accounts are integers; whoever acts is given ether on first sight.
    """

    def __init__(self, params: Params, load: Callable[[str], Artifact], start: int) -> None:
        self.evm = Evm(timestamp=start, block_s=1)
        self.params = params
        deployer, sequencer = self.evm.create_account(), self.evm.create_account()
        self.sequencer = sequencer
        plan = Plan(params.name, 1, int(sequencer, 16), get_oracles(params))
        addresses = predict_addresses(plan, bytes.fromhex(deployer[2:]), self.evm.get_nonce(deployer))
        self.gas_price = GAS_PRICE
        self.receipts: list[Receipt] = []
        self.failures: list[Failure] = []
        self.watchers: list[Watcher] = []  # they see every transaction before it lands
        self.contracts: dict[str, Contract] = {}
        for name, arguments in list_constructors(plan, CHAIN_ID, addresses).items():
            artifact = load(name)
            kinds = _get_constructor(artifact.abi)
            values = [to_abi(value, kind) for value, kind in zip(arguments, kinds, strict=True)]
            contract = self.evm.deploy(deployer, artifact, *values)
            if int(contract.address, 16) != addresses[name]:
                raise RuntimeError(f"{name} stands elsewhere than predicted")
            self.contracts[name] = contract
        self.domain = compute_domain(CHAIN_ID, addresses["Vault"])
        self.rules = Rules(params, self.domain, plan.oracles)
        self.genesis: bytes = self.call("Claims", "GENESIS")
        self._names = {contract.address: name for name, contract in self.contracts.items() if name not in STEP_NAMES}
        self._funded: set[int] = set()
        self._number = self.evm.number
        self.blocks: list[Block] = []
        self._close_block(())

    @property
    def now(self) -> int:
        """Of the newest block, and of the next transaction."""
        return self.evm.timestamp

    # -- transactions

    def call(self, name: str, function: str, *arguments: Any) -> Any:
        """A view."""
        return self.evm.call(self.contracts[name], function, *arguments)

    def transact(
        self, sender: int, name: str, function: str, *arguments: Any, value: int = 0, extra: bytes = b"", gas: int = TX_GAS_LIMIT
    ) -> Result:
        """A block of its own at the present time; raises `sim.evm.Reverted`."""
        for watcher in self.watchers:
            watcher(sender, name, function, arguments)
        if sender not in self._funded and encode_address(sender) != self.sequencer:
            self._funded.add(sender)
            self.evm.set_balance(encode_address(sender), 10**24)
        options: dict[str, Any] = {"value": value, "gas": gas, "gas_price": self.gas_price, "extra_calldata": extra}
        try:
            result = self.evm.transact(encode_address(sender), self.contracts[name], function, *arguments, **options)
        except Reverted as error:
            self.failures.append(Failure(sender, f"{name}.{function}", error.reason))
            raise
        self.receipts.append(Receipt(sender, f"{name}.{function}", result.gas_used, arguments, len(self.blocks)))
        found = []
        for event in result.events:
            kind = EVENTS.get(self._names.get(event.address, ""), {}).get(event.name)
            if kind is not None:
                found.append(kind(**{key: _from_chain(item) for key, item in event.fields.items()}))
        self._close_block(tuple(found))
        return result

    def set_time(self, now: int) -> None:
        """An empty block then, unless it is that time already."""
        if now != self.now:
            self.evm.set_time(now)
            self._close_block(())

    def advance(self, seconds: int) -> None:
        """An empty block so much later."""
        self.set_time(self.now + seconds)

    def get_point(self) -> Point:
        """Where the chain is now."""
        return Point(self.evm.take_snapshot(), len(self.blocks), len(self.receipts), frozenset(self._funded))

    def reorganise(self, point: Point) -> None:
        """All that came after `point` has not happened. Time stays what it is."""
        self.evm.restore(point.state)
        self._funded = set(point.funded)
        self._number -= len(self.blocks) - point.blocks
        del self.blocks[point.blocks :], self.receipts[point.receipts :]

    def _close_block(self, events: tuple[Event, ...]) -> None:
        number = self._number
        self._number += 1
        parent = self.blocks[-1].header.hash if self.blocks else ZERO
        digest = keccak(b"court" + parent + encode_word(number) + repr(events).encode())
        self.blocks.append(Block(Header(number, digest, parent, self.now, self.evm.basefee_wei), events))

    # -- epochs

    def queue(self, message: Message) -> None:
        """A forced message through its real door, at its time. RuntimeError if L1 hashes it otherwise."""
        self.set_time(max(self.now, message.time))
        if message.authority == VAULT_AUTHORITY:
            items, _ = decode_row(message.rows, 0)
            assert items is not None, "a deposit has a row"
            _, _, owner, amount = items
            vault = self.contracts["Vault"].address
            self.transact(owner, "Token", "mint", encode_address(owner), amount)
            self.transact(owner, "Token", "approve", vault, amount)
            self.transact(owner, "Vault", "deposit", amount)
        elif message.authority == INBOX_AUTHORITY:
            self.transact(int(self.sequencer, 16), "Inbox", "shutdown")
        else:
            fee = self.call("Inbox", "fee")
            self.transact(message.authority, "Inbox", "send", message.rows, message.signatures, value=fee)
        index = self.call("Inbox", "message_count") - 1
        if self.call("Inbox", "message_hashes", index) != compute_message_hash(message):
            raise RuntimeError(f"message {index} is not what L1 queued")

    def post(self, batch: Batch) -> None:
        """The messages that it consumes must be queued. After a shutdown the queue is posted by whoever wants to."""
        record = batch.record
        if self.call("Inbox", "is_shut"):
            self.transact(STRANGER, "Inbox", "post_queue")
            return
        counts = record.first, record.last, record.message_count, record.frame_count
        self.transact(int(self.sequencer, 16), "Inbox", "post", record.number, *counts, extra=encode_payload(batch.frames))

    def post_epoch(self, batches: Sequence[Batch]) -> int:
        """Queues their messages at their times, posts all of them in the epoch of the last one's end, and lets it pass. Its number."""
        for batch in batches:
            for message in batch.messages:
                self.queue(message)
        for batch in batches:
            # a sequencer may post late, and all in one epoch; a batch of the queue has the time at which it is posted
            self.set_time(max(self.now, batches[-1].record.last if batch.frames else batch.record.last))
            self.post(batch)
        epoch = self.now // self.params.epoch_s
        root, count = self.call("Inbox", "get_epoch", epoch)
        hashes = [compute_record_hash(batch.record) for batch in batches]
        if (root, count) != (compute_inbox_root(hashes, self.params.batch_depth), len(batches)):
            raise RuntimeError(f"epoch {epoch} has other batches on L1")
        self.set_time((epoch + 1) * self.params.epoch_s)
        return int(epoch)

    # -- claims

    def get_position(self, parent: bytes) -> PositionView:
        """The current one."""
        return PositionView(*self.call("Claims", "get_position", parent))

    def claim(self, sender: int, parent: bytes, epoch: int, history: Commitment, stake_from: bytes = ZERO) -> Result:
        """What `history` leads to. The result's value is the claim's id."""
        value = self.params.stake_wei if stake_from == ZERO else 0
        nodes = history.get_reveal(history.height, 0)
        siblings = history.prove_leaf((1 << history.height) - 1)
        body = history.post_root, history.root
        return self.transact(sender, "Claims", "claim", parent, epoch, *body, nodes, siblings, stake_from, value=value)

    def move(self, sender: int, mine: bytes, ours: Commitment, other: bytes, theirs: Commitment) -> Result:
        """The best move there is for `mine`: completes the round if it can, and reveals the next one."""
        duel = self.call("Claims", "get_duel", mine, other)
        round_, index, revealed = duel[0], duel[1], duel[5]
        height = ours.height - REVEAL_HEIGHT * round_
        if revealed == 0:
            return self.transact(sender, "Claims", "reveal", mine, other, theirs.get_node(height, index), ours.get_reveal(height, index))
        difference = find_difference(ours.get_reveal(height, index), theirs.get_reveal(height, index))
        below = height - REVEAL_HEIGHT
        following = ours.get_reveal(below, (index << REVEAL_HEIGHT) + difference.place) if below else []
        return self.transact(sender, "Claims", "descend", mine, other, tuple(difference), following)

    def prove(self, sender: int, mine: bytes, ours: History, other: bytes, theirs: Commitment) -> Result:
        """The step that the two differ in, once the proof is due."""
        index = self.call("Claims", "get_duel", mine, other)[1]
        leaves = ours.get_leaf(index), theirs.get_leaf(index)
        if index == 0:
            return self.transact(sender, "Claims", "prove", mine, other, *leaves, b"", [])
        arguments = ours.prove_step(index).arguments
        return self.transact(sender, "Claims", "prove", mine, other, *leaves, arguments, ours.prove_leaf(index - 1))


def _get_constructor(abi: Abi) -> tuple[str, ...]:
    found = [item for item in abi if item["type"] == "constructor"]
    return tuple(get_type(part) for part in found[0]["inputs"]) if found else ()


def _from_chain(value: Any) -> Any:
    """Addresses as integers, arrays as tuples: as `l1.abi` decodes them."""
    if isinstance(value, str):
        return int(value, 16)
    return tuple(value) if isinstance(value, list) else value
