"""Attacks on what L1 records: where the frames are, who is kept out of the queue, and what the queue costs."""

import pytest
from eth_account import Account
from eth_tester.backends.pyevm.main import get_default_account_keys
from eth_utils.address import to_checksum_address

from protocol.codec.frames import Frame, encode_payload
from sim.evm import Reverted
from tests.contracts.chain import PyEvm
from tests.contracts.world import Times, World, deploy_toy

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
    """EIP-7702: origin and sender are one account, yet the frames are not where every node reads them: in the transaction's calldata."""
    evm = PyEvm()
    world = World(evm=evm)
    forwarder = deploy_toy(evm, world.deployer, "Forwarder")
    now = evm.timestamp
    post = world.inbox.encode("post", 0, now, now, 0, 1) + encode_payload([Frame(now, b"hidden", b"")])
    assert not send_delegated(evm, world.sequencer, forwarder.address, forwarder.encode("forward", world.inbox.address, post))
    assert evm.call(world.inbox, "batch_count") == 0
    # the delegation itself works: the same transaction to another contract succeeds
    mint = world.token.encode("mint", world.sequencer, 7)
    assert send_delegated(evm, world.sequencer, forwarder.address, forwarder.encode("forward", world.token.address, mint))
    assert evm.call(world.token, "balanceOf", world.sequencer) == 7


def test_attack_12__sequencer_fills_the_epoch__queue_still_gets_in() -> None:
    """The inclusion delay would be an epoch's length, and the sequencer's to choose."""
    world = World(batch_depth=4, times=Times(epoch_s=1_000))
    user = world.evm.create_account()
    world.evm.set_time((world.evm.timestamp // 1_000 + 1) * 1_000)
    frames = [Frame(world.evm.timestamp, b"x", b"")]
    for _ in range(15):
        world.post(frames)
    with pytest.raises(Reverted, match="the epoch is full"):
        world.post(frames)
    world.evm.transact(user, world.inbox, "send", b"rows", b"", value=world.evm.call(world.inbox, "fee"))
    world.evm.advance(world.times.inclusion_delay_s + 1)
    world.evm.transact(user, world.inbox, "post_queue")
    assert world.evm.call(world.inbox, "messages_consumed") == 1


def test_attack_12__deposits_of_a_griefer__do_not_price_out_a_forced_withdrawal() -> None:
    """What is deposited stays the griefer's, so that a thousand deposits make a forced message cost an ether, for their gas alone."""
    world = World()
    griefer = world.evm.create_account()
    world.evm.transact(griefer, world.token, "mint", griefer, 10**10)
    world.evm.transact(griefer, world.token, "approve", world.vault.address, 10**10)
    before = world.evm.call(world.inbox, "fee")
    for _ in range(50):
        world.evm.transact(griefer, world.vault, "deposit", 10**7)
    assert world.evm.call(world.inbox, "fee") == before
