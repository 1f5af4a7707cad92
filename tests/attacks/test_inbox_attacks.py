"""Attacks on what L1 records: where the frames are, who is kept out of the queue, and what the queue costs."""

import pytest
from eth_account import Account
from eth_tester.backends.pyevm.main import get_default_account_keys
from eth_utils.address import to_checksum_address

from protocol.codec.frames import Frame, encode_payload
from tests.contracts.chain import PyEvm
from tests.contracts.world import World, deploy_toy

GAS_PRICE = 10**10


def send_delegated(evm: PyEvm, sender: str, code: str, data: bytes) -> bool:
    """A transaction of type 4 in which `sender` takes the code at `code` and calls itself; whether it succeeded."""
    backend = evm._backend
    (key,) = [key for key in get_default_account_keys() if key.public_key.to_address() == sender]
    chain_id, nonce = backend.chain.chain_id, evm.get_nonce(sender)
    secret = key.to_bytes()
    grant = Account.sign_authorization({"chainId": chain_id, "address": to_checksum_address(code), "nonce": nonce + 1}, secret)
    transaction = {
        "type": 4,
        "chainId": chain_id,
        "nonce": nonce,
        "gas": 3_000_000,
        "maxFeePerGas": GAS_PRICE,
        "maxPriorityFeePerGas": 1,
        "to": to_checksum_address(sender),
        "value": 0,
        "data": data,
        "authorizationList": [grant],
        "accessList": [],
    }
    evm._pin_time()
    digest = backend.send_raw_transaction(Account.sign_transaction(transaction, secret).raw_transaction)
    backend.mine_blocks(1)
    return bool(backend.get_transaction_receipt(digest)["status"])


def test_frames_inside_an_inner_call_of_a_delegated_sequencer__not_recorded() -> None:
    """EIP-7702: origin and sender are one account, and yet the frames are not in the transaction's calldata, where every node reads them."""
    evm = PyEvm()
    world = World(evm=evm)
    forwarder = deploy_toy(evm, world.deployer, "Forwarder")
    now = evm.timestamp
    post = world.inbox.encode("post", now, now, 0, 1) + encode_payload([Frame(now, b"hidden", b"")])
    assert not send_delegated(evm, world.sequencer, forwarder.address, forwarder.encode("forward", world.inbox.address, post))
    assert evm.call(world.inbox, "batch_count") == 0
    # the delegation itself works: the same transaction to another contract succeeds
    mint = world.token.encode("mint", world.sequencer, 7)
    assert send_delegated(evm, world.sequencer, forwarder.address, forwarder.encode("forward", world.token.address, mint))
    assert evm.call(world.token, "balanceOf", world.sequencer) == 7
