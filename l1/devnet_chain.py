"""The embedded development chain: canonical blocks over py-evm, with no server, clock or mempool.

eth-tester's backend is not used: it applies transactions one by one (quadratic), looks them up linearly, holds one transaction a sender
when it does not mine at once, and re-executes on revert. Here a block is built in one go from a list of transactions, and canonical
blocks, receipts and logs are indexed in memory as the JSON that leaves the server. `build` touches only the EVM and may run in a thread;
`extend` and `rewind` touch only the indexes and belong to the event loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

from l1.recursion import keep_recursion_limit
from protocol.keccak import keccak

with keep_recursion_limit():
    from eth._utils.address import generate_contract_address
    from eth.abc import ComputationAPI, ReceiptAPI, SignedTransactionAPI
    from eth.chains.base import MiningChain
    from eth.constants import POST_MERGE_DIFFICULTY, POST_MERGE_MIX_HASH, POST_MERGE_NONCE, ZERO_ADDRESS
    from eth.db import get_db_backend
    from eth.exceptions import Revert, VMError
    from eth.vm.forks.prague import PragueVM
    from eth.vm.spoof import SpoofTransaction

Json = dict[str, Any]
Tx = SignedTransactionAPI
EvmHeader = Any  # py-evm annotates every field of a header as optional
CALL_GAS = 200_000_000  # of an eth_call that names none: a one-step proof needs some tens of millions without being mined
GENESIS_BASE_FEE = 1_000_000_000  # wei


class Refused(Exception):
    """A request that this chain cannot serve; becomes a JSON-RPC error. `data` is the revert data, if any."""

    def __init__(self, message: str, code: int = -32000, data: bytes | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


@dataclass(frozen=True)
class Block:
    """A block with everything that is asked about it. `logs` and `receipts` are ready to be sent."""

    header: EvmHeader
    hash: bytes
    txs: tuple[SignedTransactionAPI, ...]
    receipts: tuple[Json, ...]
    logs: tuple[Json, ...]

    @property
    def number(self) -> int:
        return int(self.header.block_number)


@dataclass(frozen=True)
class Built:
    """What came of a list of transactions: the block, and those that were not fit to be in it, with the reason."""

    block: Block
    dropped: tuple[tuple[SignedTransactionAPI, str], ...]


def encode_hex(data: bytes) -> str:
    return "0x" + data.hex()


def create_chain_class(chain: int) -> type[MiningChain]:
    """py-evm keeps the chain id on the class."""
    return type("DevnetChain", (MiningChain,), {"chain_id": chain, "vm_configuration": ((0, PragueVM),)})


class Chain:
    """Canonical blocks from genesis, by number, hash and transaction."""

    def __init__(self, chain_id: int, genesis_time: int, gas_limit: int, balances: dict[bytes, int]) -> None:
        params: Any = {
            "coinbase": ZERO_ADDRESS,
            "difficulty": POST_MERGE_DIFFICULTY,
            "extra_data": b"",
            "gas_limit": gas_limit,
            "mix_hash": POST_MERGE_MIX_HASH,
            "nonce": POST_MERGE_NONCE,
            "timestamp": genesis_time,
            "base_fee_per_gas": GENESIS_BASE_FEE,
        }
        state: Any = {address: {"balance": wei, "storage": {}, "code": b"", "nonce": 0} for address, wei in balances.items()}
        self.chain_id = chain_id
        self._evm = create_chain_class(chain_id).from_genesis(get_db_backend(), params, state)
        genesis = self._evm.get_canonical_head()
        self.blocks: list[Block] = [Block(genesis, bytes(genesis.hash), (), (), ())]
        self._numbers: dict[bytes, int] = {self.blocks[0].hash: 0}
        self._places: dict[bytes, tuple[int, int]] = {}  # transaction hash -> block number, index
        self._forks = 0

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """A signed transaction of any type but blobs; its signature is checked."""
        if raw[:1] == b"\x03":
            raise Refused("blob transactions are not supported here")
        try:
            tx = self._evm.get_vm(self.head.header).get_transaction_builder().decode(raw)
            tx.validate()
            tx.check_signature_validity()
        except (rlp.exceptions.RLPException, ValidationError, VMError, ValueError, TypeError, IndexError) as error:
            raise Refused(f"cannot decode the transaction: {error}") from error
        return tx

    # -- building

    def next_base_fee(self) -> int:
        header: EvmHeader = self._evm.create_header_from_parent(self.head.header)
        return int(header.base_fee_per_gas)

    def build(self, parent: Block, timestamp: int, txs: Sequence[SignedTransactionAPI]) -> Built:
        """Run `txs` on top of `parent`. Nothing canonical changes, so a thread may do it; one at a time."""
        self._forks += 1  # a block is never the twin of one that was reorganised away
        seed = keccak(parent.hash + self._forks.to_bytes(8, "big"))
        opening = self._evm.create_header_from_parent(parent.header, gas_limit=parent.header.gas_limit)
        header = opening.copy(timestamp=timestamp, mix_hash=seed)
        vm = self._evm.get_vm(header)
        done: list[SignedTransactionAPI] = []
        receipts: list[ReceiptAPI] = []
        runs: list[ComputationAPI] = []
        dropped: list[tuple[SignedTransactionAPI, str]] = []
        for tx in txs:
            try:
                receipt, run = vm.apply_transaction(header, tx)
            except ValidationError as error:  # raised before anything was written
                dropped.append((tx, str(error)))
                continue
            header = vm.add_receipt_to_header(header, receipt)
            done.append(tx)
            receipts.append(receipt)
            runs.append(run)
        filled = vm.set_block_transactions_and_withdrawals(vm.get_block(), header, done, receipts)
        final = vm.mine_block(filled).block.header
        self._evm.chaindb.db.set(final.hash, rlp.encode(final))
        return Built(_render(final, tuple(done), receipts, runs), tuple(dropped))

    def extend(self, block: Block) -> None:
        """Make `block` the head; its parent is the head."""
        assert block.header.parent_hash == self.head.hash, "the head moved while a block was built"
        self._numbers[block.hash] = len(self.blocks)
        for index, tx in enumerate(block.txs):
            self._places[bytes(tx.hash)] = (block.number, index)
        self.blocks.append(block)

    def rewind(self, number: int) -> list[Block]:
        """Cut every block above `number`; returns them in ascending order. Nothing is executed again."""
        cut = self.blocks[number + 1 :]
        for block in cut:
            del self._numbers[block.hash]
            for tx in block.txs:
                del self._places[bytes(tx.hash)]
        del self.blocks[number + 1 :]
        return cut

    # -- reading

    def get_block(self, block_hash: bytes) -> Block | None:
        number = self._numbers.get(block_hash)
        return None if number is None else self.blocks[number]

    def get_place(self, tx_hash: bytes) -> tuple[Block, int] | None:
        """Block and index of a canonical transaction."""
        place = self._places.get(tx_hash)
        return None if place is None else (self.blocks[place[0]], place[1])

    def get_state(self, block: Block) -> Any:
        """py-evm's state after `block`; reading it while another block is built is safe: trie nodes are only ever added."""
        return self._evm.get_vm(block.header).state

    def call(self, block: Block, sender: bytes, to: bytes, data: bytes, value: int, gas: int) -> tuple[bytes, int]:
        """Output and gas used of a call in the context of `block`, on its post-state, at no fee. Reverts raise `Refused` with the data."""
        vm: Any = self._evm.get_vm(block.header.copy(base_fee_per_gas=0))
        tx = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=vm.state.get_nonce(sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=to,
            value=value,
            data=data,
            access_list=(),
        )
        try:
            run = vm.state.apply_transaction(SpoofTransaction(tx, from_=sender))
        except ValidationError as error:
            raise Refused(str(error)) from error
        if run.is_error:
            raise describe_failure(run)
        return bytes(run.output), gas - int(run.get_gas_remaining())


def describe_failure(run: ComputationAPI) -> Refused:
    """As geth says it: code 3 and the data for a revert, the exception's name for anything else."""
    if not isinstance(run.error, Revert):
        return Refused(f"{type(run.error).__name__}: {run.error}")
    data = bytes(run.output)
    return Refused("execution reverted" + describe_revert(data), 3, data)


def describe_revert(data: bytes) -> str:
    """`: reason` of an Error(string), else nothing."""
    if data[:4] != b"\x08\xc3y\xa0" or len(data) < 68:
        return ""
    size = int.from_bytes(data[36:68], "big")
    return ": " + data[68 : 68 + min(size, 1024)].decode("utf-8", "replace")


def _render(header: EvmHeader, txs: tuple[SignedTransactionAPI, ...], receipts: list[ReceiptAPI], runs: list[ComputationAPI]) -> Block:
    """Receipts and logs as JSON-RPC gives them."""
    block_hash = bytes(header.hash)
    place = {"blockHash": encode_hex(block_hash), "blockNumber": hex(header.block_number)}
    rendered: list[Json] = []
    logs: list[Json] = []
    before = 0
    for index, (tx, receipt, run) in enumerate(zip(txs, receipts, runs, strict=True)):
        where = place | {"transactionHash": encode_hex(tx.hash), "transactionIndex": hex(index)}
        own = []
        for log in receipt.logs:
            topics = ["0x" + topic.to_bytes(32, "big").hex() for topic in log.topics]
            body = {"address": to_checksum_address(log.address), "topics": topics, "data": encode_hex(log.data)}
            own.append(body | where | {"logIndex": hex(len(logs)), "removed": False})
            logs.append(own[-1])
        tip, cap = get_fees(tx)
        created = None if tx.to else to_checksum_address(generate_contract_address(tx.sender, tx.nonce))
        item = where | {
            "type": hex(get_type(tx)),
            "from": to_checksum_address(tx.sender),
            "to": to_checksum_address(tx.to) if tx.to else None,
            "contractAddress": created,
            "status": "0x0" if run.is_error else "0x1",
            "gasUsed": hex(receipt.gas_used - before),
            "cumulativeGasUsed": hex(receipt.gas_used),
            "effectiveGasPrice": hex(min(cap, header.base_fee_per_gas + tip)),
            "logs": own,
            "logsBloom": encode_hex(receipt.bloom.to_bytes(256, "big")),
        }
        if run.is_error:
            item["revertReason"] = encode_hex(bytes(run.output)) if isinstance(run.error, Revert) else "0x"  # a field that Besu has
        rendered.append(item)
        before = receipt.gas_used
    return Block(header, block_hash, txs, tuple(rendered), tuple(logs))


def get_type(tx: SignedTransactionAPI) -> int:
    """EIP-2718 type, 0 for legacy."""
    return int(getattr(tx, "type_id", None) or 0)


def get_fees(tx: SignedTransactionAPI) -> tuple[int, int]:
    """Tip and fee cap, wei a gas; a legacy gas price is both."""
    if get_type(tx) in (0, 1):
        return int(tx.gas_price), int(tx.gas_price)
    return int(tx.max_priority_fee_per_gas), int(tx.max_fee_per_gas)
