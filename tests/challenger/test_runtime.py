"""The daemon as a process, against a daemon that lies, on the development chain."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from challenger.audit import Hidden
from challenger.config import ChallengerConfig
from challenger.evidence import AlertCode
from challenger.runtime import build_settings
from challenger.session import Session, Surroundings
from challenger.sink import Sink
from l1.client import Client
from l1.contracts import Claimed, decode_logs, encode_post, encode_send, get_claim, read
from l1.deploy import Deployment, Plan, deploy, save_deployment
from l1.keys import derive_dev_keys, save_dev_key
from l1.provider import Provider, Unavailable
from l1.sender import MemoryJournal, Sender, ignore_log
from l1.sender_queue import Policy
from l1.shapes import Header, Log
from node.config import load_config
from node.store import Items
from protocol.operations import build_deposit
from protocol.params import PRESETS
from sim.court import get_oracles
from sim.scribe import Scribe, get_address
from tests.l1.child import Child, read_end, run_child
from tests.l1.devchain import CHAIN_ID, run_devnet

DEPLOYER, SEQUENCER, HONEST, VILLAIN = derive_dev_keys(4)
MAX_TRANSACTIONS = 18
MAX_GAS = 1_800_000


@contextmanager
def run_challenger(folder: Path, *options: str) -> Iterator[Child]:
    """A daemon that is ready."""
    command = [sys.executable, "-m", "challenger", "--config", str(folder / "config.toml"), *options]
    with run_child(command, folder / "log") as child:
        assert child.ready["ready"]
        yield child


def write_config(folder: Path, url: str, deployment: Path, key: Any, *lines: str) -> Path:
    """A data directory with its configuration."""
    folder.mkdir()
    if key is not None:
        save_dev_key(folder / "key.json", key)
    text = [
        f'data_dir = "{folder / "data"}"',
        "[l1]",
        f'url = "{url}"',
        f'deployment = "{deployment}"',
        "confirmations = 1",
        "poll_s = 0.05",
        "[key]",
        f'file = "{"key.json" if key else ""}"',
        "[dispute]",
        "verify_deployment = false",
        *lines,
    ]
    (folder / "config.toml").write_text("\n".join(text) + "\n")
    return folder


async def set_up(client: Client, preset: str) -> Deployment:
    """Contracts, and one epoch that holds a row which a liar takes for money."""
    async with trio.open_nursery() as nursery:
        senders = {key: Sender(client, key, CHAIN_ID, MemoryJournal(), Policy(depth=1), poll_s=0.02) for key in (DEPLOYER, SEQUENCER)}
        for sender in senders.values():
            nursery.start_soon(sender.run)
        oracles = get_oracles(PRESETS[preset])
        plan = Plan(preset, 1, int.from_bytes(SEQUENCER.address, "big"), oracles)
        deployment = await deploy(client, senders[DEPLOYER], plan)
        start = (await client.get_head()).time
        scribe = Scribe(deployment.params, start, domain=deployment.rules.domain)
        scribe.add(build_deposit(0, get_address(scribe.keys[0]), 77_000_000_000))
        batch = scribe.close_batch()
        data = encode_post(batch.record.number, batch.record.first, batch.record.last, 0, batch.frames)
        receipt = await senders[SEQUENCER].send(deployment.get_address("Inbox"), data, gas=1_000_000)
        assert receipt.ok, receipt
        nursery.cancel_scope.cancel()
    return deployment


async def read_events(client: Client, deployment: Deployment) -> list[Any]:
    """Of the claims contract, so far."""
    head = await client.get_head()
    headers = await client.get_headers(deployment.block, head.number)
    claims = deployment.get_address("Claims")
    return [(log, event) for log, event in decode_logs({claims: "Claims"}, await client.get_logs_of(headers, [claims]))]


async def wait_for(daemons: Sequence[Child], client: Client, deployment: Deployment, name: str, count: int = 1) -> list[Any]:
    """Until so many events of that name are there. No daemon dies meanwhile."""
    try:
        with trio.fail_after(60):
            while True:
                for daemon in daemons:
                    daemon.check()
                found = [item for item in await read_events(client, deployment) if type(item[1]).__name__ == name]
                if len(found) >= count:
                    return found
                await trio.sleep(0.1)
    except trio.TooSlowError:
        raise AssertionError(f"no {name}: {[read_end(daemon.log) for daemon in daemons]}") from None


async def wait_for_status(folder: Path, block: int) -> None:
    """Until the daemon has seen that block, and judged both claims."""
    with trio.fail_after(20):
        while True:
            if (folder / "status.json").exists():
                status = json.loads((folder / "status.json").read_text())
                if status["block"] >= block and status["claims"]["valid"] == status["claims"]["invalid"] == 1:
                    return
            await trio.sleep(0.05)


KILLS = [
    pytest.param(event, keeps_data, marks=() if (event, keeps_data) == ("Descended", True) else pytest.mark.slow)
    for event in ("Claimed", "Descended", "StepProven", "ClaimFinal")
    for keeps_data in (True, False)
]


@pytest.mark.parametrize(("event", "keeps_data"), KILLS)
async def test_daemons__lie_against_truth_with_a_kill_between__truth_is_final(tmp_path: Path, event: str, keeps_data: bool) -> None:
    """Killed as soon as `event` is on chain, and started again: where it was, or on another machine that has nothing but its key."""
    with run_devnet(tmp_path / "devnet", "--block-time", "0.2", "--speed", "8") as devnet:
        url = devnet.ready["url"]
        async with Provider(url) as provider:
            client = Client(provider)
            deployment = await set_up(client, "devnet")
            file = tmp_path / "deployment.json"
            save_deployment(file, deployment)
            lines = ('steps = "tests.challenger.villain_steps:STEPS"', "claim_if_missing = true")
            villain = write_config(tmp_path / "villain", url, file, VILLAIN, *lines)
            honest = write_config(tmp_path / "honest", url, file, HONEST)
            again = honest if keeps_data else write_config(tmp_path / "elsewhere", url, file, HONEST)
            watcher = write_config(tmp_path / "watcher", url, file, None)
            with run_challenger(honest) as first, run_challenger(villain) as liar:
                await wait_for((devnet, first, liar), client, deployment, "Claimed", 2)
                await provider.request("anvil_reorg", [2, [], False])  # what was in the last two blocks is gone
                await wait_for((devnet, first, liar), client, deployment, event, 2 if event == "Claimed" else 1)
                first.process.kill()
                with run_challenger(again) as second:
                    wrong = await watch_end((devnet, second, liar), client, deployment)
                    await wait_for_status(again / "data", (await client.get_head()).number)
                    second.process.send_signal(signal.SIGTERM)
                    assert await trio.to_thread.run_sync(second.process.wait, 20) == 0
            claims = [event for _, event in await read_events(client, deployment) if isinstance(event, Claimed)]
            (right,) = [event for event in claims if event.claim_id != wrong]
            owner, _ = await read(client, "Claims", deployment.get_address("Claims"), "stakes", (wrong,))
            assert owner == int.from_bytes(VILLAIN.address, "big")
            assert (await get_claim(client, deployment.get_address("Claims"), right.claim_id)).is_final
            await check_costs(client, deployment)
            await check_blind(client, deployment, watcher)
            await check_forgetful(client, deployment, watcher)
            with run_challenger(watcher, "--once") as once:
                assert await trio.to_thread.run_sync(once.process.wait, 30) == 3
    check_reports(again / "data", wrong, sees_death=event in ("Claimed", "Descended"))
    if keeps_data:
        check_estimates(honest / "log")


async def watch_end(running: Sequence[Child], client: Client, deployment: Deployment) -> bytes:
    """Until the right claim is final and paid. The wrong one's id."""
    ((_, wrong),) = await wait_for(running, client, deployment, "ClaimDied")
    for event in ("ClaimFinal", "StakeWithdrawn", "WorkPaid"):
        await wait_for(running, client, deployment, event)
    claim_id: bytes = wrong.claim_id
    return claim_id


async def test_daemon__queue_that_nobody_takes_in__is_posted(tmp_path: Path) -> None:
    with run_devnet(tmp_path / "devnet", "--block-time", "0.2", "--speed", "8") as devnet:
        url = devnet.ready["url"]
        async with Provider(url) as provider, trio.open_nursery() as nursery:
            client = Client(provider)
            deployment = await set_up(client, "devnet")
            file, inbox = tmp_path / "deployment.json", deployment.get_address("Inbox")
            save_deployment(file, deployment)
            stranger = Sender(client, VILLAIN, CHAIN_ID, MemoryJournal(), Policy(depth=1), poll_s=0.02)
            nursery.start_soon(stranger.run)
            (fee,) = await read(client, "Inbox", inbox, "fee")
            assert (await stranger.send(inbox, encode_send(b"\x00", b""), fee, 300_000)).ok
            honest = write_config(tmp_path / "honest", url, file, HONEST)
            with run_challenger(honest) as daemon, trio.fail_after(60):
                while await read(client, "Inbox", inbox, "messages_consumed") != (1,):
                    daemon.check()
                    await trio.sleep(0.1)
            nursery.cancel_scope.cancel()


class BlindClient(Client):
    """An endpoint that keeps the batches to itself."""

    async def get_input(self, tx_hash: bytes) -> bytes:
        raise Unavailable("no transaction")


async def check_blind(client: Client, deployment: Deployment, folder: Path) -> None:
    """Without the data nothing is said about any claim."""
    config = load_config(folder / "config.toml", ChallengerConfig)
    items = Items(folder / "blind.db")
    sink = Sink(folder, items, ignore_log)
    blind = BlindClient(client.provider)
    around = Surroundings(config, deployment, build_settings(config, deployment, None), blind, None, items, sink, ignore_log)
    with trio.fail_after(30):
        await Session(around, once=True).run()
    items.close()
    (report,) = [json.loads(line) for line in (folder / "reports.jsonl").read_text().splitlines()]
    assert (report["type"], report["judgement"], report["claim_id"]) == ("verdict", "unavailable", "0x")


class ForgetfulClient(Client):
    """An endpoint whose index has lost the claims."""

    def __init__(self, provider: Provider, claims: bytes) -> None:
        super().__init__(provider)
        self._claims = claims

    async def get_logs(self, header: Header, addresses: Sequence[bytes]) -> tuple[Log, ...]:
        return tuple(log for log in await super().get_logs(header, addresses) if log.address != self._claims)

    async def get_logs_of(self, headers: Sequence[Header], addresses: Sequence[bytes]) -> tuple[Log, ...]:
        return tuple(log for log in await super().get_logs_of(headers, addresses) if log.address != self._claims)


async def check_forgetful(client: Client, deployment: Deployment, folder: Path) -> None:
    """What it left out is found by what the contract says."""
    config = load_config(folder / "config.toml", ChallengerConfig)
    items = Items(folder / "forgetful.db")
    sink = Sink(folder, items, ignore_log)
    forgetful = ForgetfulClient(client.provider, deployment.get_address("Claims"))
    around = Surroundings(config, deployment, build_settings(config, deployment, None), forgetful, None, items, sink, ignore_log)
    with trio.fail_after(30), pytest.RaisesGroup(Hidden, flatten_subgroups=True):
        await Session(around).run()
    items.close()
    assert [json.loads(alert)["code"] for alert in sink.alerts] == [AlertCode.HIDDEN]


async def check_costs(client: Client, deployment: Deployment) -> None:
    """All transactions of the dispute, both sides', on a chain that counts gas as it is counted."""
    hashes = list(dict.fromkeys(log.tx_hash for log, _ in await read_events(client, deployment)))
    receipts = [receipt for receipt in await client.get_receipts(hashes) if receipt is not None]
    assert len(receipts) == len(hashes) <= MAX_TRANSACTIONS
    assert sum(receipt.gas_used for receipt in receipts) <= MAX_GAS


def check_reports(folder: Path, wrong: bytes, *, sees_death: bool) -> None:
    """Told once, though the daemon was killed and started again; evidence by whichever run was there when the wrong claim died."""
    reports = [json.loads(line) for line in (folder / "reports.jsonl").read_text().splitlines()]
    verdicts = [item["judgement"] for item in reports if item["type"] == "verdict"]
    assert sorted(verdicts) == ["invalid", "valid"]
    evidence = [item for item in reports if item["type"] == "evidence"]
    assert len(evidence) == 1 or (not sees_death and not evidence)
    for item in evidence:
        assert (item["claim_id"], item["death"]) == ("0x" + wrong.hex(), "step")
        facts = item["facts"]
        assert (facts["phase"], facts["operation"], facts["code"], facts["batch"]) == ("DEPOSIT", "DEPOSIT", "AUTHORITY", 0)
        assert (facts["account"], facts["amount"]) == (0, 77_000_000_000)
    status = json.loads((folder / "status.json").read_text())
    assert status["claims"]["disproven"] == 1 or not sees_death
    assert not status["alerts"]
    money = {name: int(wei) for name, wei in status["money"].items()}
    assert money["spent"] > 0 or not sees_death
    assert {name for name, wei in money.items() if wei} <= {"spent"}  # stake and wages were collected


def check_estimates(log: Path) -> None:
    """What every transaction took is near what was expected of it."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    expected = {line["name"]: line["expected_gas"] for line in lines if line["event"] == "action.sent"}
    taken = {line["name"]: line["gas"] for line in lines if line["event"] == "action.settled" and line["ok"]}
    assert taken
    for name, gas in taken.items():
        assert gas == pytest.approx(expected[name], rel=0.35), name  # whether a slot was empty depends on who came first


@pytest.mark.parametrize(("lines", "code"), [("unknown = 1\n", "config-field"), ('[l1]\ndeployment = "nowhere.json"\n', "deployment")])
def test_config__unusable__is_refused_with_its_code(tmp_path: Path, lines: str, code: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(lines)
    process = subprocess.run([sys.executable, "-m", "challenger", "--config", str(path)], capture_output=True, check=False)
    assert process.returncode == 2
    assert json.loads(process.stderr)["code"] == code
    assert process.stdout == b""
