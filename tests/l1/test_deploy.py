"""Deploying everything on a real chain, the deployment file, verification, and the bindings of every event and call."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from eth_abi import abi as eth_abi

from contracts import load_artifact
from l1.abi import get_events, to_abi
from l1.client import Client, encode_hex
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
    STEP_NAMES,
    STEPS,
    BadDeployment,
    Deployment,
    Plan,
    compute_genesis_root,
    deploy,
    load_deployment,
    save_deployment,
)
from l1.provider import Provider, RpcError
from l1.sender import NotSent
from l1.shapes import Log, Malformed, encode_transaction
from l1.verify import FaultCode, inspect, verify
from protocol.codec.frames import Frame
from protocol.keccak import keccak
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


def swap(values: Mapping[str, Any], one: str, other: str) -> dict[str, Any]:
    return {**values, one: values[other], other: values[one]}


async def find_faults(dev: Dev, deployment: Deployment) -> dict[str, set[FaultCode]]:
    """Contract -> what is wrong with it."""
    findings = await inspect(dev.client, deployment)
    return {finding.name: {fault.code for fault in finding.faults} for finding in findings if finding.faults}


CODE, ARGUMENTS, CREATION, WIRING, MISSING = (getattr(FaultCode, name) for name in ("CODE", "ARGUMENTS", "CREATION", "WIRING", "MISSING"))


async def test_verification_says_what_differs_and_where(dev: Dev, deployment: Deployment) -> None:
    assert await find_faults(dev, deployment) == {}
    addresses, creations, oracle = deployment.addresses, deployment.creations, deployment.oracles[0]
    made = {ARGUMENTS, CREATION}
    swapped = replace(deployment, addresses=swap(addresses, "open", "scan"))
    for wrong, faults in (
        (replace(deployment, sequencer=oracle), {"Inbox": {*made, WIRING}}),
        (replace(deployment, genesis_root=bytes(32)), {"Claims": {WIRING}}),
        (swapped, {"open": {CODE, CREATION}, "scan": {CODE, CREATION}, "Judge": {*made, WIRING}}),
        (replace(deployment, creations=swap(creations, "open", "scan")), {"open": {CREATION}, "scan": {CREATION}}),
        (replace(deployment, creations={**creations, "Vault": b"\x07" * 32}), {"Vault": {CREATION}}),
    ):
        assert await find_faults(dev, wrong) == faults
    hurried = await find_faults(dev, replace(deployment, speed=SPEED + 1))
    assert hurried.keys() == {"Inbox", "Claims", *STEP_NAMES}, "the steps know how long a sheet lives"
    assert hurried["Inbox"] == hurried["Claims"] == hurried["sheet"] == made
    with pytest.raises(BadDeployment, match=r"Inbox at 0x[0-9a-f]{40}: .* \(arguments-other\)"):
        await verify(dev.client, replace(deployment, sequencer=oracle))
    oracles = await find_faults(dev, replace(deployment, oracles=(oracle + 1, *deployment.oracles[1:])))
    assert {name for name, codes in oracles.items() if ARGUMENTS in codes} == {"mark", "settle"}, "only these know the oracles"
    elsewhere = await find_faults(dev, replace(deployment, addresses={**addresses, "Vault": addresses["Claims"]}))
    assert elsewhere["Vault"] == {CODE, CREATION, WIRING}
    assert elsewhere["Inbox"] == {*made, WIRING}


async def test_verification_of_what_is_not_there(dev: Dev, deployment: Deployment) -> None:
    nowhere = {**deployment.addresses, "Inbox": 0xDEAD}
    faults = await find_faults(dev, replace(deployment, addresses=nowhere))
    assert faults["Inbox"] == {MISSING, CREATION}
    assert faults["Claims"] == {ARGUMENTS, CREATION, WIRING}, "its constructor asks the inbox"
    foreign = replace(deployment, creations={name: tx for name, tx in deployment.creations.items() if name != "Token"})
    assert await find_faults(dev, foreign) == {}
    assert (await inspect(dev.client, foreign))[-1].note
    assert (await find_faults(dev, replace(foreign, addresses={**foreign.addresses, "Token": 5})))["Token"] == {MISSING}


async def test_right_code_left_by_other_creation_code_is_found(dev: Dev, deployment: Deployment) -> None:
    """Creation code that writes storage first and then leaves the very code of the artifact: nobody could tell by the code."""
    code = await dev.client.get_code(deployment.get_address("Claims"))
    # PUSH1 7 PUSH1 9 SSTORE; then CODECOPY of what follows these 18 bytes, and RETURN
    creation = bytes.fromhex(f"6007600955 61{len(code):04x} 80 6012 5f 39 5f f3 00 00 00") + code
    nonce = await dev.client.get_nonce(ALICE.address)
    tx_hash = await dev.send(ALICE, nonce, to=None, data=creation, gas=8_000_000)
    await dev.mine()
    receipt = await dev.client.get_receipt(tx_hash)
    assert receipt is not None
    assert receipt.contract is not None
    assert await dev.client.get_code(receipt.contract) == code
    address = int.from_bytes(receipt.contract, "big")
    planted = replace(
        deployment,
        addresses={**deployment.addresses, "Claims": address},
        creations={**deployment.creations, "Claims": tx_hash},
    )
    faults = await find_faults(dev, planted)
    assert faults["Claims"] == {CREATION}
    hidden = await find_faults(dev, replace(planted, creations=deployment.creations))
    assert hidden["Claims"] == {CREATION}, "the transaction that made another one"


@pytest.mark.parametrize("signature", [{"r": "0x0", "s": "0x0"}, {"r": "0x5", "s": "0x7"}, {"v": "0x5"}], ids=str)
async def test_a_creation_that_nobody_signed_is_none(dev: Dev, deployment: Deployment, signature: dict[str, str]) -> None:
    """The file names the hash of a transaction that no chain would have; the endpoint goes along with it."""
    honest = encode_hex(deployment.creations["Vault"])
    item = await dev.rpc("eth_getTransactionByHash", honest) | signature
    forged = keccak(encode_transaction(item))

    class Liar(Provider):
        async def request(self, method: str, params: Any = (), **options: Any) -> Any:
            if params and params[0] == encode_hex(forged):
                answer = await super().request(method, [honest], **options)
                return item if method == "eth_getTransactionByHash" else answer | {"transactionHash": params[0], "logs": []}
            return await super().request(method, params, **options)

    async with Liar(dev.url) as liar:
        findings = await inspect(Client(liar), replace(deployment, creations={**deployment.creations, "Vault": forged}))
    assert {finding.name: [fault.code for fault in finding.faults] for finding in findings if finding.faults} == {"Vault": [CREATION]}


async def test_an_endpoint_that_shows_other_code_is_found(dev: Dev, deployment: Deployment) -> None:
    """It stands between us and the chain, and flips one bit of the judge's code."""
    victim = encode_hex(deployment.get_address("Judge"))

    class Liar(Provider):
        async def request(self, method: str, params: Any = (), **options: Any) -> Any:
            answer = await super().request(method, params, **options)
            if method == "eth_getCode" and params[0] == victim:
                return answer[:100] + f"{int(answer[100], 16) ^ 1:x}" + answer[101:]
            return answer

    async with Liar(dev.url) as liar:
        findings = await inspect(Client(liar), deployment)
    assert {finding.name: [fault.code for fault in finding.faults] for finding in findings if finding.faults} == {"Judge": [CODE]}


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
        {"version": 1},
        {"chain_id": "1"},
        {"chain_id": True},
        {"preset": "nowhere"},
        {"speed": 0},
        {"speed": 10**9},
        {"speed": 1_000},  # an epoch would outgrow its history
        {"oracles": []},
        {"oracles": ["0x" + "01" * 20] * 3},
        {"sequencer": "0x01"},
        {"genesis_root": "0x" + "00" * 32},
        {"addresses": {}},
        {"addresses": 3},
        {"block": None},
        {"creations": {}},
        {"creations": {"Vault": "0x01"}},
        {"creations": 3},
    ],
)
def test_a_broken_deployment_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    names = {"Token", "Judge", "Inbox", "Claims", "Vault", *STEPS.values()}
    plan = make_plan("minimal")
    places, creations = {name: place + 1 for place, name in enumerate(names)}, dict.fromkeys(names, bytes(32))
    good = Deployment(1, "minimal", SPEED, plan.sequencer, ORACLES, bytes(32), 0, places, creations)
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
