"""An L1 in this process: pyrevm behind a chain's manners (accounts, time, blocks, typed calls, decoded events).

No networking, no mempool, no reorgs: for tests of contracts and for simulations that need thousands of blocks a second. Time moves only
when told to. A transaction that reverts raises `Reverted` and changes nothing.

What it is not: gas costs nothing (`gas_price` is only what contracts see), and what earlier transactions touched stays warm, so
that `gas_used` is too low by up to 2,600 a slot or account. Gas snapshots are taken on py-evm (`tests/contracts/chain.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyrevm
import rlp
from eth_abi.abi import decode, encode

from protocol.keccak import keccak

SPEC = "PRAGUE"
WEALTH_WEI = 10**24
TX_GAS_LIMIT = 1 << 24  # EIP-7825's cap: no transaction may need more
ERROR_SELECTOR = keccak(b"Error(string)")[:4]

Abi = Sequence[Mapping[str, Any]]


class Artifact(Protocol):
    """What a deployment needs; `contracts.load_artifact` gives one."""

    @property
    def name(self) -> str: ...
    @property
    def abi(self) -> Abi: ...
    @property
    def bytecode(self) -> bytes: ...


class Reverted(Exception):
    """The call failed. `reason` is the contract's own, or the machine's word (for example ``OutOfGas``)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Event:
    """A decoded log."""

    address: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """Of a transaction."""

    value: Any
    gas_used: int
    events: tuple[Event, ...]

    def get_event(self, name: str) -> dict[str, Any]:
        """The fields of the only event of that name; ValueError if there is not exactly one."""
        (event,) = [event for event in self.events if event.name == name]
        return event.fields


@dataclass(frozen=True)
class _Function:
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class _EventType:
    name: str
    indexed: tuple[tuple[str, str], ...]  # name, type
    data: tuple[tuple[str, str], ...]


def get_type(item: Mapping[str, Any]) -> str:
    """An ABI parameter's type with its tuples written out."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(get_type(part) for part in item["components"]) + ")" + kind[5:]


def compute_create_address(deployer: str, nonce: int) -> str:
    """Where a deployer's contract will be: the constructors name each other in a circle."""
    return "0x" + keccak(rlp.encode([bytes.fromhex(deployer[2:]), nonce]))[12:].hex()


@dataclass(frozen=True)
class RawLog:
    """As the chain has it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass
class Contract:
    """A deployed contract and how to talk to it."""

    name: str
    address: str
    functions: dict[str, _Function]
    constructor: tuple[str, ...] = ()
    events: dict[bytes, _EventType] = field(default_factory=dict)

    def encode(self, function: str, *args: Any) -> bytes:
        """Calldata of a call."""
        item = self.functions[function]
        return item.selector + encode(item.inputs, args)


def bind(name: str, abi: Abi, address: str) -> Contract:
    """Reads an ABI; an overloaded function keeps its last form."""
    contract = Contract(name, address, {})
    for item in abi:
        inputs = tuple(get_type(part) for part in item.get("inputs", ()))
        if item["type"] == "function":
            signature = f"{item['name']}({','.join(inputs)})"
            outputs = tuple(get_type(part) for part in item["outputs"])
            contract.functions[item["name"]] = _Function(keccak(signature.encode())[:4], inputs, outputs)
        elif item["type"] == "constructor":
            contract.constructor = inputs
        elif item["type"] == "event":
            signature = f"{item['name']}({','.join(inputs)})"
            named = [(part["name"], get_type(part), part["indexed"]) for part in item["inputs"]]
            contract.events[keccak(signature.encode())] = _EventType(
                item["name"],
                tuple((key, kind) for key, kind, is_indexed in named if is_indexed),
                tuple((key, kind) for key, kind, is_indexed in named if not is_indexed),
            )
    return contract


class Evm:
    """One chain. Every transaction is a block's only one; `advance` moves time and the block number."""

    def __init__(self, timestamp: int = 1_700_000_000, block_s: int = 12, basefee_wei: int = 0) -> None:
        self.block_s = block_s
        self.timestamp = timestamp
        self.number = 1
        self.basefee_wei = basefee_wei
        self._evm = pyrevm.EVM(spec_id=SPEC, gas_limit=1 << 62)
        self._contracts: dict[str, Contract] = {}
        self._accounts = 0
        self._set_block()

    def _set_block(self) -> None:
        block = pyrevm.BlockEnv(number=self.number, timestamp=self.timestamp, basefee=self.basefee_wei, gas_limit=1 << 62)
        self._evm.set_block_env(block)

    # ---- time

    def set_time(self, timestamp: int) -> None:
        """The next block's time; not before the last one's."""
        if timestamp < self.timestamp:
            raise ValueError(f"time cannot go back from {self.timestamp} to {timestamp}")
        self.timestamp = timestamp
        self.number += 1
        self._set_block()

    def advance(self, seconds: int) -> None:
        """A block so many seconds later."""
        self.set_time(self.timestamp + seconds)

    # ---- states

    def take_snapshot(self) -> Any:
        """The state of all accounts, for `restore`; time stays what it is."""
        return self._evm.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Back to that state. Snapshots nest; each is good for once."""
        self._evm.revert(snapshot)

    # ---- accounts

    def create_account(self, wealth_wei: int = WEALTH_WEI) -> str:
        """A fresh address with ether; there are no keys in this chain."""
        self._accounts += 1
        address = "0x" + keccak(f"account {self._accounts}".encode())[12:].hex()
        self.set_balance(address, wealth_wei)
        return address

    def get_balance(self, address: str) -> int:
        """Wei."""
        return int(self._evm.get_balance(address))

    def set_balance(self, address: str, wei: int) -> None:
        """Gives or takes ether by fiat."""
        self._evm.set_balance(address, wei)

    def get_nonce(self, address: str) -> int:
        """For predicting the address of the account's next contract."""
        return int(self._evm.basic(address).nonce)

    # ---- contracts

    def deploy(self, deployer: str, artifact: Artifact, *args: Any, value: int = 0) -> Contract:
        """Raises Reverted if the constructor does."""
        contract = bind(artifact.name, artifact.abi, "")
        contract.address = self._create(deployer, artifact.bytecode + encode(contract.constructor, args), value)
        self._contracts[contract.address] = contract
        return contract

    def transact(
        self,
        sender: str,
        contract: Contract,
        function: str,
        *args: Any,
        value: int = 0,
        gas: int = TX_GAS_LIMIT,
        gas_price: int = 0,
        extra_calldata: bytes = b"",
    ) -> Result:
        """A transaction. `extra_calldata` follows the arguments as it is."""
        data = contract.encode(function, *args) + extra_calldata
        answer, gas_used, logs = self._send(sender, contract.address, data, value, gas, gas_price)
        events = tuple(event for log in logs if (event := self._decode_log(log)) is not None)
        return Result(_decode_output(contract.functions[function], answer), gas_used, events)

    def call(self, contract: Contract, function: str, *args: Any, sender: str = "0x" + "00" * 20, gas: int = TX_GAS_LIMIT) -> Any:
        """A view: changes nothing."""
        return _decode_output(contract.functions[function], self._query(sender, contract.address, contract.encode(function, *args), gas))

    # ---- the machine underneath

    def _create(self, deployer: str, code: bytes, value: int) -> str:
        try:
            return str(self._evm.deploy(deployer, code, value)).lower()
        except RuntimeError as error:
            raise Reverted(_parse_reason(str(error))) from error

    def _send(self, sender: str, to: str, data: bytes, value: int, gas: int, gas_price: int) -> tuple[bytes, int, list[RawLog]]:
        try:
            answer = self._evm.message_call(sender, to, data, value=value, gas=gas, gas_price=gas_price)
        except RuntimeError as error:
            raise Reverted(_parse_reason(str(error))) from error
        result = self._evm.result
        if result is None:
            raise RuntimeError("the machine gave no result")
        # pyrevm's stub has topics and data the wrong way round: `data` is the pair of both
        logs = [RawLog(log.address.lower(), tuple(map(_to_bytes, log.data[0])), bytes(log.data[1])) for log in result.logs]
        return bytes(answer), int(result.gas_used), logs

    def _query(self, sender: str, to: str, data: bytes, gas: int) -> bytes:
        try:
            return bytes(self._evm.message_call(sender, to, data, gas=gas, is_static=True))
        except RuntimeError as error:
            raise Reverted(_parse_reason(str(error))) from error

    def _decode_log(self, log: RawLog) -> Event | None:
        contract = self._contracts.get(log.address)
        if contract is None or not log.topics or log.topics[0] not in contract.events:
            return None
        kind = contract.events[log.topics[0]]
        fields = {key: decode([abi_type], topic)[0] for (key, abi_type), topic in zip(kind.indexed, log.topics[1:], strict=True)}
        values = decode([abi_type for _, abi_type in kind.data], log.data)
        fields |= {key: value for (key, _), value in zip(kind.data, values, strict=True)}
        return Event(contract.address, kind.name, fields)


def _to_bytes(topic: Any) -> bytes:
    return bytes.fromhex(topic.removeprefix("0x")) if isinstance(topic, str) else bytes(topic)


def _decode_output(function: _Function, answer: bytes) -> Any:
    """One value as itself, several as a tuple, none as None."""
    values = decode(function.outputs, bytes(answer))
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def _parse_reason(text: str) -> str:
    """The contract's words out of ``Revert { gas_used: 1, output: 0x.. }``; the machine's message where it is not such a revert."""
    if not text.startswith("Revert {"):
        return text
    data = bytes.fromhex(text.partition("output: 0x")[2].rstrip(" }"))
    if data[:4] == ERROR_SELECTOR:
        return str(decode(["string"], data[4:])[0])
    return f"revert 0x{data.hex()}"
