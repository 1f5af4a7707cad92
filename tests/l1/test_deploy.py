"""Deploying everything on a real chain, the deployment file, verification, and the bindings of every event and call."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from eth_abi import abi as eth_abi

from contracts import load_artifact
from l1.abi import get_events, to_abi
from l1.contracts import (
    EVENTS,
    AccountOpened,
    BatchPosted,
    Deposited,
    MessageQueued,
    decode_logs,
    decode_post,
    encode_approve,
    encode_deposit,
    encode_mint,
    encode_post,
    encode_send,
    get_claim,
    get_epoch,
    get_position,
    read,
)
from l1.deploy import (
    STEPS,
    BadDeployment,
    Deployment,
    Plan,
    compute_genesis_root,
    deploy,
    load_deployment,
    save_deployment,
    verify,
)
from l1.provider import RpcError
from l1.sender import NotSent
from l1.shapes import Log, Malformed
from protocol.codec.frames import Frame
from protocol.params import PRESETS
from protocol.types import VAULT_AUTHORITY, Phase
from tests.l1.devchain import KEYS, Dev, open_sender, wait_until

DEPLOYER, SEQUENCER, ALICE = KEYS[0], KEYS[1], KEYS[2]
ORACLES = tuple(int.from_bytes(key.address, "big") for key in KEYS[3:6])
SPEED = 7


def make_plan(preset: str) -> Plan:
    return Plan(preset, SPEED, int.from_bytes(SEQUENCER.address, "big"), ORACLES)


@pytest.fixture
async def deployment(dev: Dev) -> Deployment:
    async with trio.open_nursery() as nursery:
        await dev.rpc("evm_setAutomine", True)
        sender = open_sender(dev, DEPLOYER)
        await nursery.start(sender.run)
        nursery.start_soon(mine_for_ever, dev)
        with trio.fail_after(60):
            result = await deploy(dev.client, sender, make_plan("minimal"))
        nursery.cancel_scope.cancel()
    await dev.rpc("evm_setAutomine", False)
    return result


async def mine_for_ever(dev: Dev) -> None:
    while True:
        await trio.sleep(0.2)
        await dev.mine()


async def run(dev: Dev, deployment: Deployment, key: int, name: str, data: bytes, value: int = 0) -> tuple[Log, ...]:
    """One transaction, mined; its logs."""
    sender = KEYS[key]
    nonce = await dev.client.get_nonce(sender.address)
    tx_hash = await dev.send(sender, nonce, to=deployment.get_address(name), data=data, value=value, gas=3_000_000)
    await dev.mine()
    receipt = await dev.client.get_receipt(tx_hash)
    assert receipt is not None
    assert receipt.ok, receipt.reason
    return receipt.logs


async def test_a_deployment_is_what_its_file_says(dev: Dev, deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    save_deployment(path, deployment)
    assert load_deployment(path) == deployment
    await verify(dev.client, deployment)
    params = PRESETS["minimal"].at_speed(SPEED)
    inbox, claims, vault, judge = (deployment.get_address(name) for name in ("Inbox", "Claims", "Vault", "Judge"))
    assert await read(dev.client, "Inbox", inbox, "EPOCH_S") == (params.epoch_s,)
    assert await read(dev.client, "Inbox", inbox, "VAULT") == (deployment.addresses["Vault"],)
    assert await read(dev.client, "Claims", claims, "STAKE") == (params.stake_wei,)
    assert await read(dev.client, "Vault", vault, "CLAIMS") == (deployment.addresses["Claims"],)
    for phase in Phase:
        address, selector = await read(dev.client, "Judge", judge, "get_step", (phase,))
        assert address == deployment.addresses[STEPS[phase]]
        assert selector == load_artifact(STEPS[phase]).get_selector("step")
    (genesis,) = await read(dev.client, "Claims", claims, "GENESIS")
    claim = await get_claim(dev.client, claims, genesis)
    assert claim.post_root == deployment.genesis_root
    assert claim.is_final
    assert (await get_position(dev.client, claims, genesis)).close == 0


async def test_verification_finds_every_difference(dev: Dev, deployment: Deployment) -> None:
    oracle = deployment.oracles[0]
    swapped = dict(deployment.addresses)
    swapped["open"], swapped["scan"] = swapped["scan"], swapped["open"]
    for wrong in (
        replace(deployment, speed=SPEED + 1),
        replace(deployment, preset="devnet"),
        replace(deployment, oracles=(oracle + 1, *deployment.oracles[1:])),
        replace(deployment, sequencer=oracle),
        replace(deployment, addresses=swapped),
        replace(deployment, addresses={**deployment.addresses, "Vault": deployment.addresses["Claims"]}),
        replace(deployment, addresses={**deployment.addresses, "Token": 5}),
        replace(deployment, genesis_root=bytes(32)),
    ):
        with pytest.raises(BadDeployment):
            await verify(dev.client, wrong)


async def test_events_and_calls_of_deposit_message_and_batch(dev: Dev, deployment: Deployment) -> None:
    names = deployment.followed
    alice = int.from_bytes(ALICE.address, "big")
    vault = deployment.addresses["Vault"]
    await run(dev, deployment, 2, "Token", encode_mint(alice, 50_000_000))
    await run(dev, deployment, 2, "Token", encode_approve(vault, 50_000_000))
    logs = await run(dev, deployment, 2, "Vault", encode_deposit(20_000_000))
    events = [event for _, event in decode_logs(names, [log for log in logs if log.address in names])]
    opened, message, deposited = events
    assert opened == AccountOpened(0, alice)
    assert isinstance(message, MessageQueued)
    assert (message.index, message.authority, message.signatures) == (0, VAULT_AUTHORITY, b"")
    assert deposited == Deposited(0, alice, 20_000_000, 0)

    inbox = deployment.get_address("Inbox")
    (fee,) = await read(dev.client, "Inbox", inbox, "fee")
    logs = await run(dev, deployment, 2, "Inbox", encode_send(b"\xc1\x01", b"\x05" * 65), fee)
    ((_, message),) = decode_logs(names, logs)
    assert isinstance(message, MessageQueued)
    assert (message.authority, message.rows, message.signatures) == (alice, b"\xc1\x01", b"\x05" * 65)

    head = await dev.client.get_head()
    frames = [Frame(head.time, b"\x03\x00", b"\x01" * 65), Frame(head.time + 1, b"x" * 300, b"")]
    data = encode_post(0, head.time, head.time, 2, frames)
    logs = await run(dev, deployment, 1, "Inbox", data)
    ((log, batch),) = decode_logs(names, logs)
    assert isinstance(batch, BatchPosted)
    assert (batch.number, batch.message_count, batch.frame_count, batch.first) == (0, 2, 2, head.time)
    call = decode_post(await dev.client.get_input(log.tx_hash))
    assert (*call[:-1], list(call.frames)) == (0, head.time, head.time, 2, frames)
    assert (await get_epoch(dev.client, inbox, batch.epoch))[1] == 1
    with pytest.raises(Malformed):
        decode_post(data + b"\x00")
    with pytest.raises(Malformed):
        decode_logs({}, logs)
    with pytest.raises(Malformed):
        decode_logs(names, [replace(log, data=log.data[:-1])])
    with pytest.raises(Malformed):
        decode_logs(names, [replace(log, topics=log.topics[:-1])])


async def test_what_reverts_says_why(dev: Dev, deployment: Deployment) -> None:
    data = encode_post(0, 0, 0, 0, [Frame(0, b"x", b"")])
    with pytest.raises(RpcError, match="inbox: not the sequencer"):
        await dev.client.call(deployment.get_address("Inbox"), data, sender=ALICE.address)


def test_every_event_of_the_contracts_has_its_dataclass_field_by_field() -> None:
    for name, kinds in EVENTS.items():
        events = [item for item in load_artifact(name).abi if item.get("type") == "event"]
        declared = {item["name"]: [part["name"] for part in item["inputs"]] for item in events}
        assert declared == {kind: [field.name for field in fields(cls)] for kind, cls in kinds.items()}


SAMPLES: dict[str, Any] = {"uint256": 7, "address": 2**159 + 1, "bytes32": b"\x05" * 32, "bytes32[]": (b"\x01" * 32,) * 16, "bytes": b"abc"}


@pytest.mark.parametrize("name", list(EVENTS))
def test_every_event_decodes_to_what_was_logged(name: str) -> None:
    for topic, (event, inputs) in get_events(name).items():
        values = {field: SAMPLES[kind] for field, kind, _ in inputs}
        encoded = {field: eth_abi.encode([kind], [to_abi(values[field], kind)]) for field, kind, is_indexed in inputs if is_indexed}
        plain = [(field, kind) for field, kind, is_indexed in inputs if not is_indexed]
        data = eth_abi.encode([kind for _, kind in plain], [to_abi(values[field], kind) for field, kind in plain])
        log = Log(b"a" * 20, (topic, *encoded.values()), data, 1, bytes(32), bytes(32), 0, 0)
        ((_, decoded),) = decode_logs({b"a" * 20: name}, [log])
        assert decoded == EVENTS[name][event](**values)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"chain_id": "1"},
        {"chain_id": True},
        {"preset": "nowhere"},
        {"speed": 0},
        {"speed": 10**9},
        {"oracles": []},
        {"oracles": ["0x" + "01" * 20] * 3},
        {"sequencer": "0x01"},
        {"genesis_root": "0x" + "00" * 32},
        {"addresses": {}},
        {"addresses": 3},
        {"block": None},
    ],
)
def test_a_broken_deployment_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    names = {"Token", "Judge", "Inbox", "Claims", "Vault", *STEPS.values()}
    plan = make_plan("minimal")
    good = Deployment(1, "minimal", SPEED, plan.sequencer, ORACLES, bytes(32), 0, {name: place + 1 for place, name in enumerate(names)})
    path = tmp_path / "deployment.json"
    save_deployment(path, replace(good, genesis_root=compute_genesis_root(plan.params)))
    assert load_deployment(path).speed == SPEED
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadDeployment):
        load_deployment(path)


def test_a_missing_or_endless_deployment_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDeployment):
        load_deployment(tmp_path / "none.json")
    (tmp_path / "big.json").write_text(" " * 100_000)
    with pytest.raises(BadDeployment):
        load_deployment(tmp_path / "big.json")


async def test_a_deployer_who_is_not_alone_is_told(dev: Dev, nursery: trio.Nursery) -> None:
    """Another program takes the first nonce, so the first contract never comes to stand."""
    await dev.rpc("devnet_setMinTip", 2 * 10**9)
    sender = open_sender(dev, DEPLOYER)
    await nursery.start(sender.run)

    async def interfere() -> None:
        async def is_sent() -> bool:
            return len(sender.pending) > 5

        await wait_until(is_sent)
        await dev.send(DEPLOYER, 0, maxPriorityFeePerGas=9 * 10**9, maxFeePerGas=10**12)
        await dev.mine()
        await dev.rpc("devnet_setMinTip", 0)
        await mine_for_ever(dev)

    nursery.start_soon(interfere)
    with trio.fail_after(30), pytest.raises(NotSent, match="nonce_taken"):
        await deploy(dev.client, sender, make_plan("minimal"))
    nursery.cancel_scope.cancel()
