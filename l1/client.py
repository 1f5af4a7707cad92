"""Checked reads of an L1 endpoint, typed. Every answer is hostile: its shape is checked, and that it is what was asked for.

Raises `Unavailable` (also `Malformed`) when the endpoint cannot be relied on just now, `RpcError` when it refuses.
"""

from collections.abc import Sequence

from l1.provider import Provider, RpcError, Unavailable
from l1.shapes import (
    Header,
    Log,
    Malformed,
    Receipt,
    Transaction,
    parse_data,
    parse_header,
    parse_logs,
    parse_quantity,
    parse_receipt,
    parse_transaction,
)

BlockRef = int | str | bytes  # number, tag, or hash
BATCH = 100  # requests in one batch
CALL_GAS = 100_000_000


class WrongChain(Exception):
    """The endpoint serves another chain than the deployment's: a configuration error, not an outage."""


def encode_hex(data: bytes) -> str:
    return "0x" + data.hex()


def encode_ref(ref: BlockRef) -> object:
    """A tag, a number, or an EIP-1898 object for a hash."""
    if isinstance(ref, bytes):
        return {"blockHash": encode_hex(ref)}
    return hex(ref) if isinstance(ref, int) else ref


class Client:
    """Reads through one provider; holds no state of the chain."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def get_chain_id(self) -> int:
        return parse_quantity(await self.provider.request("eth_chainId"))

    async def check_chain(self, chain_id: int) -> None:
        """Raises `WrongChain` unless the endpoint serves that chain."""
        found = await self.get_chain_id()
        if found != chain_id:
            raise WrongChain(f"the endpoint serves chain {found}, not {chain_id}")

    # -- blocks

    async def get_head(self, not_before: int | None = None) -> Header:
        """The newest header; `Unavailable` if its chain time is before `not_before`: the endpoint lags."""
        header = await self.get_header("latest")
        if header is None:
            raise Malformed("no latest block")
        if not_before is not None and header.time < not_before:
            raise Unavailable(f"the endpoint lags: its head is at {header.time}, {not_before - header.time} s too old")
        return header

    async def get_header(self, ref: BlockRef) -> Header | None:
        """None if the endpoint does not have it."""
        method = "eth_getBlockByHash" if isinstance(ref, bytes) else "eth_getBlockByNumber"
        item = await self.provider.request(method, [encode_hex(ref) if isinstance(ref, bytes) else encode_ref(ref), False])
        if item is None:
            return None
        header = parse_header(item)
        if (isinstance(ref, int) and header.number != ref) or (isinstance(ref, bytes) and header.hash != ref):
            raise Malformed("another block than was asked for")
        return header

    async def get_headers(self, first: int, last: int) -> list[Header]:
        """Consecutive headers linked by parent hash; `Unavailable` if they are not (a reorganisation in between, or a lie)."""
        headers: list[Header] = []
        for start in range(first, last + 1, BATCH):
            numbers = range(start, min(start + BATCH, last + 1))
            items = await self.provider.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
            for number, item in zip(numbers, items, strict=True):
                if isinstance(item, RpcError):
                    raise Unavailable(f"block {number}: {item}")
                header = parse_header(item)
                if header.number != number or (headers and header.parent != headers[-1].hash):
                    raise Malformed("headers are not a chain")
                headers.append(header)
        return headers

    # -- logs and transactions

    async def get_logs(self, header: Header, addresses: Sequence[bytes]) -> tuple[Log, ...]:
        """Of one block, by its hash, in order."""
        query = {"blockHash": encode_hex(header.hash), "address": [encode_hex(address) for address in addresses]}
        logs = parse_logs(await self.provider.request("eth_getLogs", [query]))
        check_logs(logs, {header.number: header.hash}, addresses)
        return logs

    async def get_logs_of(self, headers: Sequence[Header], addresses: Sequence[bytes]) -> tuple[Log, ...]:
        """Of consecutive blocks, by number, in order; every log must stand in one of these very blocks."""
        wanted = [encode_hex(address) for address in addresses]
        query = {"fromBlock": hex(headers[0].number), "toBlock": hex(headers[-1].number), "address": wanted}
        logs = parse_logs(await self.provider.request("eth_getLogs", [query]))
        check_logs(logs, {header.number: header.hash for header in headers}, addresses)
        return logs

    async def get_receipt(self, tx_hash: bytes) -> Receipt | None:
        item = await self.provider.request("eth_getTransactionReceipt", [encode_hex(tx_hash)])
        return None if item is None else parse_receipt(item, tx_hash)

    async def get_receipts(self, tx_hashes: Sequence[bytes]) -> list[Receipt | None]:
        """In one batch; None for those that are not included."""
        calls = [("eth_getTransactionReceipt", [encode_hex(tx_hash)]) for tx_hash in tx_hashes]
        found: list[Receipt | None] = []
        for start in range(0, len(calls), BATCH):
            items = await self.provider.batch(calls[start : start + BATCH])
            for tx_hash, item in zip(tx_hashes[start : start + BATCH], items, strict=True):
                if isinstance(item, RpcError):
                    raise Unavailable(f"receipt: {item}")
                found.append(None if item is None else parse_receipt(item, tx_hash))
        return found

    async def get_transaction(self, tx_hash: bytes) -> Transaction | None:
        """Its content is proven by its hash."""
        item = await self.provider.request("eth_getTransactionByHash", [encode_hex(tx_hash)])
        return None if item is None else parse_transaction(item, tx_hash)

    async def has_transactions(self, tx_hashes: Sequence[bytes]) -> list[bool]:
        """Whether the endpoint has them, waiting or included; in batches."""
        found: list[bool] = []
        for start in range(0, len(tx_hashes), BATCH):
            some = tx_hashes[start : start + BATCH]
            items = await self.provider.batch([("eth_getTransactionByHash", [encode_hex(tx_hash)]) for tx_hash in some])
            for item in items:
                if isinstance(item, RpcError):
                    raise Unavailable(f"transaction: {item}")
                found.append(item is not None)
        return found

    async def get_input(self, tx_hash: bytes) -> bytes:
        """Calldata of a transaction that is known to exist; `Unavailable` if the endpoint does not have it."""
        transaction = await self.get_transaction(tx_hash)
        if transaction is None:
            raise Unavailable(f"no transaction {encode_hex(tx_hash)}")
        return transaction.input

    # -- state

    async def get_nonce(self, address: bytes, ref: BlockRef = "latest") -> int:
        return parse_quantity(await self.provider.request("eth_getTransactionCount", [encode_hex(address), encode_ref(ref)]))

    async def get_balance(self, address: bytes, ref: BlockRef = "latest") -> int:
        return parse_quantity(await self.provider.request("eth_getBalance", [encode_hex(address), encode_ref(ref)]))

    async def get_code(self, address: bytes, ref: BlockRef = "latest") -> bytes:
        return parse_data(await self.provider.request("eth_getCode", [encode_hex(address), encode_ref(ref)]))

    async def get_tip(self) -> int:
        """The endpoint's proposal for a priority fee, wei a gas."""
        return parse_quantity(await self.provider.request("eth_maxPriorityFeePerGas"))

    async def call(
        self,
        to: bytes,
        data: bytes,
        ref: BlockRef = "latest",
        *,
        sender: bytes | None = None,
        value: int = 0,
        gas: int = CALL_GAS,
        timeout_s: float | None = None,
    ) -> bytes:
        """Returned data. A revert is an `RpcError` with its data."""
        item: dict[str, str] = {"to": encode_hex(to), "data": encode_hex(data), "gas": hex(gas)}
        if value:
            item["value"] = hex(value)
        if sender is not None:
            item["from"] = encode_hex(sender)
        return parse_data(await self.provider.request("eth_call", [item, encode_ref(ref)], timeout_s=timeout_s))

    async def create(self, code: bytes, gas: int) -> bytes:
        """The code that a creation would leave."""
        item = {"data": encode_hex(code), "gas": hex(gas)}
        return parse_data(await self.provider.request("eth_call", [item, "latest"]))

    async def send_raw(self, raw: bytes) -> bytes:
        """The hash by the endpoint's word. Not retried."""
        return parse_data(await self.provider.request("eth_sendRawTransaction", [encode_hex(raw)]), 32)


def check_logs(logs: Sequence[Log], hashes: dict[int, bytes], addresses: Sequence[bytes]) -> None:
    """Each in its place: of those blocks and addresses, strictly ascending."""
    wanted = set(addresses)
    before = (-1, -1)
    for log in logs:
        if hashes.get(log.block_number) != log.block_hash or log.address not in wanted:
            raise Malformed("a log that was not asked for")
        if (log.block_number, log.index) <= before:
            raise Malformed("logs out of order")
        before = (log.block_number, log.index)
