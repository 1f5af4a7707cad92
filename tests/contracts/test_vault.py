"""Money in and money out."""

import random
from typing import Any

import pytest

from contracts import load_artifact
from protocol.codec.rows import encode_row
from protocol.keccak import keccak
from protocol.merkle import Tree, compute_root_from_path
from protocol.types import compute_outbox_leaf
from sim.evm import Contract, Reverted, compute_create_address
from tests.contracts.world import World, deploy_toy

DOLLAR = 10**6
DEPTH = 4  # of the outbox, in World
PLACE = 3 << DEPTH


def fund(world: World, amount: int = 1_000 * DOLLAR, who: str = "") -> str:
    who = who or world.evm.create_account()
    world.evm.transact(who, world.token, "mint", who, amount)
    world.evm.transact(who, world.token, "approve", world.vault.address, 2**256 - 1)
    return who


def deposit(world: World, who: str, amount: int) -> Any:
    return world.evm.transact(who, world.vault, "deposit", amount)


class Outbox:
    """A state with nothing but an outbox."""

    def __init__(self, entries: list[tuple[str, int]]) -> None:
        self.entries = entries
        self.rest = Tree(DEPTH + 2)
        for index, (owner, amount) in enumerate(entries):
            self.rest.set_leaf(PLACE | index, compute_outbox_leaf(index, int(owner, 16), amount))
        self.globals_leaf = keccak(b"globals")
        self.root = keccak(self.globals_leaf + self.rest.get_root())

    def prove(self, index: int) -> list[bytes]:
        return [*self.rest.prove(PLACE | index), self.globals_leaf]


def deploy_with_state(root: bytes, token: Contract | None = None) -> tuple[World, bytes]:
    """A world whose genesis is that state."""
    world = World()
    evm = world.evm
    token = token or world.token
    vault = compute_create_address(world.deployer, evm.get_nonce(world.deployer) + 2)
    inbox = evm.deploy(world.deployer, load_artifact("Inbox"), world.sequencer, vault, 10, 10, 600, 3, 1_000)
    claims = evm.deploy(world.deployer, load_artifact("Claims"), inbox.address, world.judge.address, root, 8, 5, 30, 120, 20, 10**18)
    world.vault = evm.deploy(world.deployer, load_artifact("Vault"), token.address, inbox.address, claims.address, 500, DEPTH)
    world.inbox, world.claims = inbox, claims
    return world, evm.call(claims, "GENESIS")


def test_deposits_open_accounts_in_order_and_queue_canonical_rows() -> None:
    world = World()
    expected = []
    people = [fund(world) for _ in range(3)]
    for number, (who, amount) in enumerate([(people[0], 10), (people[1], 11), (people[0], 12), (people[2], 127)]):
        index = people.index(who)
        result = deposit(world, who, amount * DOLLAR)
        assert result.value == index
        event = result.get_event("Deposited")
        assert (event["index"], event["owner"], event["amount"], event["message"]) == (index, who, amount * DOLLAR, number)
        message = result.get_event("MessageQueued")
        assert message["authority"] == "0x" + "00" * 19 + "01"
        assert message["signatures"] == b""
        assert message["rows"] == encode_row([1, index, int(who, 16), amount * DOLLAR])
        expected.append((index, who))
    assert world.evm.call(world.vault, "account_count") == 3
    assert world.evm.call(world.vault, "get_account", people[2]) == (True, 2)
    assert world.evm.call(world.vault, "get_account", world.deployer) == (False, 0)
    assert world.evm.call(world.token, "balanceOf", world.vault.address) == world.evm.call(world.vault, "held") == 160 * DOLLAR


def test_rows_are_canonical_for_owners_with_leading_zeros_and_any_amount() -> None:
    world = World()
    rng = random.Random(7)
    for size in (1, 2, 19, 20):
        who = "0x" + (bytes(20 - size) + b"\x81" + rng.randbytes(size - 1)).hex()
        for amount in (10 * DOLLAR, 2**24 - 1, 2**24, 2**32, 2**56 + 1):
            fund(world, amount, who)
            result = deposit(world, who, amount)
            assert result.get_event("MessageQueued")["rows"] == encode_row([1, result.value, int(who, 16), amount])


def test_accounts_above_one_byte_and_their_end() -> None:
    world = World()  # 500 accounts of 512: the last places are the pool's
    for index in range(500):
        who = fund(world, 10 * DOLLAR)
        result = deposit(world, who, 10 * DOLLAR)
        if index in (127, 128, 255, 256, 499):
            assert result.get_event("MessageQueued")["rows"] == encode_row([1, index, int(who, 16), 10 * DOLLAR])
    with pytest.raises(Reverted, match="no account is left"):
        deposit(world, fund(world), 10 * DOLLAR)
    assert deposit(world, fund(world, 10 * DOLLAR, who), 10 * DOLLAR).value == 499


def test_limits_of_a_deposit() -> None:
    world = World()
    who = fund(world, 2**256 - 1)
    for amount, reason in ((10 * DOLLAR - 1, "minimum"), (0, "minimum"), (2**59, "full"), (2**256 - 1, "full")):
        with pytest.raises(Reverted, match=reason):
            deposit(world, who, amount)
    deposit(world, who, 2**59 - 1 - 10 * DOLLAR)
    with pytest.raises(Reverted, match="full"):
        deposit(world, who, 10 * DOLLAR + 1)
    deposit(world, who, 10 * DOLLAR)
    with pytest.raises(Reverted):
        deposit(world, world.evm.create_account(), 10 * DOLLAR)  # neither money nor approval


def test_a_withdrawal_is_paid_once_to_its_owner() -> None:
    rng = random.Random(3)
    owners = ["0x" + rng.randbytes(20).hex() for _ in range(16)]
    outbox = Outbox([(owner, (i + 1) * DOLLAR) for i, owner in enumerate(owners)])
    world, genesis = deploy_with_state(outbox.root)
    deposit(world, fund(world), 1_000 * DOLLAR)
    for index in (0, 7, 15):
        amount = (index + 1) * DOLLAR
        args = (genesis, index, owners[index], amount, outbox.prove(index))
        result = world.evm.transact(world.deployer, world.vault, "withdraw", *args)
        assert result.get_event("Withdrawn") == {"index": index, "owner": owners[index], "amount": amount, "claim_id": genesis}
        assert world.evm.call(world.token, "balanceOf", owners[index]) == amount
        assert world.evm.call(world.vault, "is_paid", index)
        with pytest.raises(Reverted, match="paid already"):
            world.evm.transact(world.deployer, world.vault, "withdraw", *args)
    assert world.evm.call(world.vault, "held") == (1_000 - 1 - 8 - 16) * DOLLAR


def test_a_withdrawal_must_be_in_a_final_state() -> None:
    owner = "0x" + "ab" * 20
    outbox = Outbox([(owner, 5 * DOLLAR), (owner, 6 * DOLLAR)])
    world, genesis = deploy_with_state(outbox.root)
    deposit(world, fund(world), 1_000 * DOLLAR)
    proof = outbox.prove(1)
    other = "0x" + "cd" * 20
    bad: list[tuple[Any, ...]] = [
        (genesis, 0, owner, 6 * DOLLAR, proof),
        (genesis, 1, other, 6 * DOLLAR, proof),
        (genesis, 1, owner, 6 * DOLLAR + 1, proof),
        (genesis, 1, owner, 6 * DOLLAR, proof[:-1]),
        (genesis, 1, owner, 6 * DOLLAR, [*proof, proof[0]]),
        (genesis, 1, owner, 6 * DOLLAR, [proof[1], proof[0], *proof[2:]]),
        (genesis, 1 + 16, owner, 6 * DOLLAR, proof),  # the place's bits are not the index's
        (keccak(b"no claim"), 1, owner, 6 * DOLLAR, proof),
    ]
    for args in bad:
        with pytest.raises(Reverted, match=r"vault: |claims: "):
            world.evm.transact(world.deployer, world.vault, "withdraw", *args)
    assert not world.evm.call(world.vault, "is_paid", 1)
    world.evm.transact(world.deployer, world.vault, "withdraw", genesis, 1, owner, 6 * DOLLAR, proof)


def test_another_places_leaf_is_no_withdrawal() -> None:
    """An entry of the same words under the accounts (place 2) does not pay."""
    owner = "0x" + "ab" * 20
    rest = Tree(DEPTH + 2)
    rest.set_leaf(2 << DEPTH | 1, compute_outbox_leaf(1, int(owner, 16), DOLLAR))
    root = keccak(keccak(b"globals") + rest.get_root())
    world, genesis = deploy_with_state(root)
    deposit(world, fund(world), 1_000 * DOLLAR)
    path = rest.prove(2 << DEPTH | 1)
    assert compute_root_from_path(rest.get_leaf(2 << DEPTH | 1), 2 << DEPTH | 1, path) == rest.get_root()
    with pytest.raises(Reverted, match="not in that state"):
        world.evm.transact(world.deployer, world.vault, "withdraw", genesis, 1, owner, DOLLAR, [*path, keccak(b"globals")])


def test_tokens_that_return_nothing_work_and_false_reverts() -> None:
    outside = World()
    evm = outside.evm
    token = deploy_toy(evm, outside.deployer, "OddToken")
    vault = compute_create_address(outside.deployer, evm.get_nonce(outside.deployer) + 2)
    owner = evm.create_account()
    outbox = Outbox([(owner, DOLLAR)])
    inbox = evm.deploy(outside.deployer, load_artifact("Inbox"), outside.sequencer, vault, 10, 10, 600, 3, 1_000)
    claims = evm.deploy(outside.deployer, load_artifact("Claims"), inbox.address, outside.judge.address, outbox.root, 8, 5, 30, 120, 20, 1)
    outside.vault = evm.deploy(outside.deployer, load_artifact("Vault"), token.address, inbox.address, claims.address, 500, DEPTH)
    evm.transact(owner, token, "mint", owner, 100 * DOLLAR)
    args = (evm.call(claims, "GENESIS"), 0, owner, DOLLAR, outbox.prove(0))
    with pytest.raises(Reverted, match="the token refuses"):
        deposit(outside, owner, 20 * DOLLAR)
    evm.transact(owner, token, "set_silent", True)
    deposit(outside, owner, 20 * DOLLAR)
    evm.transact(owner, token, "set_silent", False)
    with pytest.raises(Reverted, match="the token refuses"):
        evm.transact(owner, outside.vault, "withdraw", *args)
    assert not evm.call(outside.vault, "is_paid", 0)
    evm.transact(owner, token, "set_silent", True)
    evm.transact(owner, outside.vault, "withdraw", *args)
    assert evm.call(token, "balanceOf", owner) == 81 * DOLLAR


def test_the_vault_refuses_an_inbox_that_expects_another() -> None:
    world = World()
    args = (world.token.address, world.inbox.address, world.claims.address, 9, 4)
    with pytest.raises(Reverted, match="another vault"):
        world.evm.deploy(world.deployer, load_artifact("Vault"), *args)


def test_the_token_is_an_erc20() -> None:
    world = World()
    evm, token = world.evm, world.token
    alice, bob = evm.create_account(), evm.create_account()
    evm.transact(alice, token, "mint", alice, 100)
    assert evm.transact(alice, token, "transfer", bob, 40).value is True
    with pytest.raises(Reverted):
        evm.transact(bob, token, "transferFrom", alice, bob, 1)
    evm.transact(alice, token, "approve", bob, 30)
    evm.transact(bob, token, "transferFrom", alice, bob, 30)
    with pytest.raises(Reverted):
        evm.transact(bob, token, "transferFrom", alice, bob, 1)
    with pytest.raises(Reverted):
        evm.transact(alice, token, "transfer", bob, 31)
    assert [evm.call(token, "balanceOf", who) for who in (alice, bob)] == [30, 70]
    assert evm.call(token, "totalSupply") == 100
    assert evm.call(token, "decimals") == 6
