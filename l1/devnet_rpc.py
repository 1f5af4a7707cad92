"""JSON-RPC methods of the development chain: what AsyncWeb3 and the daemons use, and the controls of anvil and hardhat.

Names and shapes are geth's and anvil's, so a client needs no switch. Methods that start with `devnet_` are this chain's own.
"""

import inspect
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any

from eth_utils.address import to_checksum_address

from l1.devnet_chain import CALL_GAS, Block, Json, Refused, encode_hex, get_fees, get_type
from l1.devnet_node import GWEI, Node

BAD_PARAMS = -32602
NO_METHOD = -32601
INTERNAL = -32603
SAFE_LAG = 32  # blocks, as anvil's; here any depth can be reorganised on request
FINAL_LAG = 64
MAX_BATCH = 1_000
MAX_MINE = 10_000
ZERO_ADDRESS = bytes(20)
HEX = re.compile(r"0x[0-9a-fA-F]*\Z")


def parse_quantity(value: object) -> int:
    """A hex quantity; plain numbers are taken too, as anvil takes them."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and HEX.match(value) and 2 < len(value) <= 66:
        return int(value, 16)
    raise Refused("invalid quantity", BAD_PARAMS)


def parse_bytes(value: object, size: int | None = None) -> bytes:
    if not isinstance(value, str) or not HEX.match(value) or len(value) % 2 or (size is not None and len(value) != 2 + 2 * size):
        raise Refused("invalid hex data", BAD_PARAMS)
    return bytes.fromhex(value[2:])


def find_block(node: Node, tag: object) -> Block | None:
    """By tag, number or EIP-1898 object; None if there is none yet."""
    head = node.chain.head.number
    if isinstance(tag, dict):
        if "blockHash" in tag:
            return node.chain.get_block(parse_bytes(tag["blockHash"], 32))
        tag = tag.get("blockNumber")
    named = {
        None: head,
        "latest": head,
        "pending": head,
        "earliest": 0,
        "safe": max(0, head - SAFE_LAG),
        "finalized": max(0, head - FINAL_LAG),
    }
    number = named[tag] if tag is None or (isinstance(tag, str) and tag in named) else parse_quantity(tag)
    return node.chain.blocks[number] if number <= head else None


def require_block(node: Node, tag: object) -> Block:
    block = find_block(node, tag)
    if block is None:
        raise Refused("header not found")
    return block


# -- rendering


def render_tx(node: Node, tx: Any, block: Block | None, index: int) -> Json:
    """As geth gives it; block fields are null while it waits."""
    tip, cap = get_fees(tx)
    price = cap if block is None else min(cap, block.header.base_fee_per_gas + tip)
    item: Json = {
        "hash": encode_hex(tx.hash),
        "type": hex(get_type(tx)),
        "chainId": hex(node.settings.chain_id),
        "nonce": hex(tx.nonce),
        "from": to_checksum_address(tx.sender),
        "to": to_checksum_address(tx.to) if tx.to else None,
        "value": hex(tx.value),
        "gas": hex(tx.gas),
        "gasPrice": hex(price),
        "input": encode_hex(tx.data),
        "v": hex(tx.v) if get_type(tx) == 0 else hex(tx.y_parity),
        "r": hex(tx.r),
        "s": hex(tx.s),
        "blockHash": None if block is None else encode_hex(block.hash),
        "blockNumber": None if block is None else hex(block.number),
        "transactionIndex": None if block is None else hex(index),
    }
    if get_type(tx) >= 2:
        item |= {"maxFeePerGas": hex(cap), "maxPriorityFeePerGas": hex(tip)}
    if get_type(tx) >= 1:
        access = [
            {"address": to_checksum_address(a), "storageKeys": [encode_hex(k.to_bytes(32, "big")) for k in ks]} for a, ks in tx.access_list
        ]
        item |= {"accessList": access, "yParity": hex(tx.y_parity)}
    return item


def render_block(node: Node, block: Block, full: bool) -> Json:
    h = block.header
    txs = [render_tx(node, tx, block, i) if full else encode_hex(tx.hash) for i, tx in enumerate(block.txs)]
    return {
        "number": hex(h.block_number),
        "hash": encode_hex(block.hash),
        "parentHash": encode_hex(h.parent_hash),
        "timestamp": hex(h.timestamp),
        "sha3Uncles": encode_hex(h.uncles_hash),
        "miner": to_checksum_address(h.coinbase),
        "stateRoot": encode_hex(h.state_root),
        "transactionsRoot": encode_hex(h.transaction_root),
        "receiptsRoot": encode_hex(h.receipt_root),
        "logsBloom": encode_hex(h.bloom.to_bytes(256, "big")),
        "difficulty": hex(h.difficulty),
        "gasLimit": hex(h.gas_limit),
        "gasUsed": hex(h.gas_used),
        "extraData": encode_hex(h.extra_data),
        "mixHash": encode_hex(h.mix_hash),
        "nonce": encode_hex(h.nonce),
        "baseFeePerGas": hex(h.base_fee_per_gas),
        "withdrawalsRoot": encode_hex(h.withdrawals_root),
        "blobGasUsed": hex(h.blob_gas_used),
        "excessBlobGas": hex(h.excess_blob_gas),
        "parentBeaconBlockRoot": encode_hex(h.parent_beacon_block_root),
        "requestsHash": encode_hex(h.requests_hash),
        "uncles": [],
        "withdrawals": [],
        "size": "0x0",
        "transactions": txs,
    }


# -- blocks, transactions, logs


def get_block_by_number(node: Node, tag: object, full: bool = False) -> Json | None:
    block = find_block(node, tag)
    return None if block is None else render_block(node, block, full is True)


def get_block_by_hash(node: Node, block_hash: object, full: bool = False) -> Json | None:
    block = node.chain.get_block(parse_bytes(block_hash, 32))
    return None if block is None else render_block(node, block, full is True)


def get_transaction(node: Node, tx_hash: object) -> Json | None:
    key = parse_bytes(tx_hash, 32)
    place = node.chain.get_place(key)
    if place is not None:
        return render_tx(node, place[0].txs[place[1]], *place)
    waiting = node.pool.get(key)
    return None if waiting is None else render_tx(node, waiting, None, 0)


def get_receipt(node: Node, tx_hash: object) -> Json | None:
    place = node.chain.get_place(parse_bytes(tx_hash, 32))
    return None if place is None else place[0].receipts[place[1]]


def get_block_receipts(node: Node, tag: object) -> list[Json] | None:
    block = node.chain.get_block(parse_bytes(tag, 32)) if isinstance(tag, str) and len(tag) == 66 else find_block(node, tag)
    return None if block is None else list(block.receipts)


def _parse_set(value: object, size: int) -> frozenset[str] | None:
    """What a filter's field admits, in lower case; None for everything."""
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    return frozenset(encode_hex(parse_bytes(item, size)) for item in items)


def get_logs(node: Node, query: object) -> list[Json]:
    """By block hash, which must be canonical, or by a range of numbers."""
    if not isinstance(query, dict):
        raise Refused("invalid filter", BAD_PARAMS)
    if "blockHash" in query:
        block = node.chain.get_block(parse_bytes(query["blockHash"], 32))
        if block is None:
            raise Refused("unknown block")
        blocks = [block]
    else:
        first, last = require_block(node, query.get("fromBlock")), find_block(node, query.get("toBlock"))
        blocks = node.chain.blocks[first.number : (node.chain.head if last is None else last).number + 1]
    addresses = _parse_set(query.get("address"), 20)
    topics = [_parse_set(item, 32) for item in query.get("topics") or []]
    found = []
    for log in (log for block in blocks for log in block.logs):
        own = log["topics"]
        if (addresses is not None and log["address"].lower() not in addresses) or len(own) < len(topics):
            continue
        if all(wanted is None or topic in wanted for wanted, topic in zip(topics, own, strict=False)):
            found.append(log)
    return found


# -- accounts and calls


def get_count(node: Node, address: object, tag: object = "latest") -> str:
    key = parse_bytes(address, 20)
    mined = node.chain.get_state(require_block(node, tag)).get_nonce(key)
    return hex(node.pool.get_next_nonce(key, mined) if tag == "pending" else mined)


def get_balance(node: Node, address: object, tag: object = "latest") -> str:
    return hex(node.chain.get_state(require_block(node, tag)).get_balance(parse_bytes(address, 20)))


def get_code(node: Node, address: object, tag: object = "latest") -> str:
    return encode_hex(node.chain.get_state(require_block(node, tag)).get_code(parse_bytes(address, 20)))


def get_storage(node: Node, address: object, slot: object, tag: object = "latest") -> str:
    value = node.chain.get_state(require_block(node, tag)).get_storage(parse_bytes(address, 20), parse_quantity(slot))
    return encode_hex(value.to_bytes(32, "big"))


async def _run(node: Node, tx: object, tag: object, default_gas: int) -> tuple[bytes, int]:
    if not isinstance(tx, dict):
        raise Refused("invalid call", BAD_PARAMS)
    sender = parse_bytes(tx["from"], 20) if tx.get("from") else ZERO_ADDRESS
    to = parse_bytes(tx["to"], 20) if tx.get("to") else b""
    data = parse_bytes(tx.get("input") or tx.get("data") or "0x")
    gas = min(parse_quantity(tx["gas"]) if tx.get("gas") else default_gas, CALL_GAS)
    return await node.call(require_block(node, tag), sender, to, data, parse_quantity(tx.get("value") or 0), gas)


async def call(node: Node, tx: object, tag: object = "latest") -> str:
    return encode_hex((await _run(node, tx, tag, CALL_GAS))[0])


async def estimate(node: Node, tx: object, tag: object = "latest") -> str:
    """One run, and a sixth more for the 63/64 rule and refunds; no search, so generous."""
    _, used = await _run(node, tx, tag, node.settings.gas_limit)
    return hex(min(used + used // 6, node.settings.gas_limit))


def send_raw(node: Node, raw: object) -> str:
    return encode_hex(node.send(parse_bytes(raw)))


def get_fee_history(node: Node, count: object, newest: object = "latest", percentiles: object = None) -> Json:
    """Rewards are the tips that everyone pays here."""
    last = require_block(node, newest)
    size = min(parse_quantity(count), 1024, last.number + 1)
    blocks = node.chain.blocks[last.number + 1 - size : last.number + 1]
    fees = [hex(b.header.base_fee_per_gas) for b in blocks]
    following = node.chain.next_base_fee() if last is node.chain.head else node.chain.blocks[last.number + 1].header.base_fee_per_gas
    wanted = len(percentiles) if isinstance(percentiles, list) else 0
    return {
        "oldestBlock": hex(last.number + 1 - size),
        "baseFeePerGas": [*fees, hex(following)],
        "gasUsedRatio": [b.header.gas_used / b.header.gas_limit for b in blocks],
        "reward": [[hex(GWEI)] * wanted for _ in blocks],
    }


# -- controls


async def mine(node: Node, options: object = None) -> str:
    """evm_mine; a timestamp may be given."""
    stamp = options.get("timestamp") if isinstance(options, dict) else options
    if stamp is not None:
        node.set_next_time(parse_quantity(stamp))
    await node.mine()
    return "0x0"


async def mine_many(node: Node, count: object = 1, interval: object = None) -> None:
    """anvil_mine; `interval` in seconds between the blocks."""
    number = parse_quantity(count)
    if number > MAX_MINE:
        raise Refused("too many blocks", BAD_PARAMS)
    for index in range(number):
        if index and interval is not None:
            node.set_next_time(node.chain.head.header.timestamp + max(1, parse_quantity(interval)))
        await node.mine()


def set_next_time(node: Node, time: object) -> None:
    node.set_next_time(parse_quantity(time))


def increase_time(node: Node, seconds: object) -> int:
    return node.move_time(parse_quantity(seconds))


def set_automine(node: Node, on: object) -> bool:
    node.set_mining(0 if on else None)
    return True


def set_interval(node: Node, seconds: object) -> None:
    """evm_setIntervalMining; 0 stops. Fractions are taken."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not math.isfinite(seconds) or seconds < 0:
        raise Refused("invalid interval", BAD_PARAMS)
    node.set_mining(float(seconds) or None)


async def reorganise(node: Node, depth: Any, pairs: Any = (), keep: object = False) -> None:
    """anvil_reorg(depth, [[raw transaction, block index], ...]); the third argument is ours: put the old transactions back in the pool."""
    if isinstance(depth, dict):
        depth, pairs = depth.get("depth"), depth.get("txBlockPairs", ())
    if not isinstance(pairs, (list, tuple)):
        raise Refused("invalid transactions", BAD_PARAMS)
    raws = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Refused("invalid transactions", BAD_PARAMS)
        raws.append((parse_bytes(pair[0]), parse_quantity(pair[1])))
    await node.reorganise(parse_quantity(depth), raws, keep is True)


def drop(node: Node, tx_hash: object) -> str | None:
    return str(tx_hash) if node.drop(parse_bytes(tx_hash, 32)) else None


async def revert(node: Node, number: object) -> bool:
    return await node.revert(parse_quantity(number))


def set_min_tip(node: Node, wei: object) -> None:
    node.pool.min_tip = parse_quantity(wei)
    node.set_mining(node.block_time)


Handler = Callable[..., Any]
METHODS: dict[str, Handler] = {
    "web3_clientVersion": lambda _: "straddle-devnet/1",
    "net_version": lambda node: str(node.settings.chain_id),
    "net_listening": lambda _: True,
    "eth_chainId": lambda node: hex(node.settings.chain_id),
    "eth_accounts": lambda _: [],
    "eth_syncing": lambda _: False,
    "eth_blockNumber": lambda node: hex(node.chain.head.number),
    "eth_gasPrice": lambda node: hex(GWEI + node.chain.next_base_fee()),
    "eth_maxPriorityFeePerGas": lambda _: hex(GWEI),
    "eth_feeHistory": get_fee_history,
    "eth_getBlockByNumber": get_block_by_number,
    "eth_getBlockByHash": get_block_by_hash,
    "eth_getBlockReceipts": get_block_receipts,
    "eth_getTransactionByHash": get_transaction,
    "eth_getTransactionReceipt": get_receipt,
    "eth_getTransactionCount": get_count,
    "eth_getBalance": get_balance,
    "eth_getCode": get_code,
    "eth_getStorageAt": get_storage,
    "eth_getLogs": get_logs,
    "eth_call": call,
    "eth_estimateGas": estimate,
    "eth_sendRawTransaction": send_raw,
    "txpool_status": lambda node: {"pending": hex(len(node.pool)), "queued": "0x0"},
    "evm_mine": mine,
    "anvil_mine": mine_many,
    "hardhat_mine": mine_many,
    "evm_setNextBlockTimestamp": set_next_time,
    "anvil_setNextBlockTimestamp": set_next_time,
    "evm_increaseTime": increase_time,
    "anvil_increaseTime": increase_time,
    "evm_setAutomine": set_automine,
    "evm_setIntervalMining": set_interval,
    "evm_snapshot": lambda node: hex(node.take_snapshot()),
    "evm_revert": revert,
    "anvil_snapshot": lambda node: hex(node.take_snapshot()),
    "anvil_revert": revert,
    "anvil_reorg": reorganise,
    "anvil_dropTransaction": drop,
    "devnet_setMinTip": set_min_tip,
    "devnet_time": lambda node: {"now": hex(node.clock.now()), "speed": node.clock.speed},
}


async def answer(node: Node, request: object) -> Json:
    """One request object to one answer object. A wrong number of parameters is the caller's error; a bug of ours is -32603."""
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "invalid request"}}
    reply: Json = {"jsonrpc": "2.0", "id": request.get("id")}
    params = request.get("params") or []
    handler = METHODS.get(request["method"])
    try:
        if handler is None:
            raise Refused(f"the method {request['method'][:64]} does not exist", NO_METHOD)
        if not isinstance(params, list):
            raise Refused("params must be a list", BAD_PARAMS)
        try:
            inspect.signature(handler).bind(node, *params)
        except TypeError as error:
            raise Refused(f"invalid params: {error}", BAD_PARAMS) from error
        result = handler(node, *params)
        reply["result"] = await result if isinstance(result, Awaitable) else result
    except Refused as error:
        reply["error"] = {"code": error.code, "message": str(error)}
        if error.data is not None:
            reply["error"]["data"] = encode_hex(error.data)
    return reply
