"""The sequencer as a process: wires machine, store, L1, workers and sockets together. `python -m sequencer --config FILE`.

Resource handling: everything lives in one nursery; at a clean stop sessions are told, and a snapshot is written. Error handling: what the
operator must mend is a `NodeError`; whatever else escapes is a bug of ours, and crashes the process: it restarts from store and L1.
"""

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from l1.client import Client, WrongChain
from l1.contracts import encode_post
from l1.deploy import BadDeployment, Deployment, load_deployment
from l1.keys import BadKey, Key, load_key
from l1.provider import Provider, RpcError, Unavailable
from l1.sender import NotSent, Sender
from l1.sender_queue import Policy
from node.clock import Clock
from node.config import load_config
from node.errors import NodeCode, NodeError
from node.logs import configure_logs, make_log
from node.runtime import run_daemon
from node.steps import load_steps
from node.store import Items, SenderJournal, Store
from protocol.codec.inflate import is_zlib_sound
from protocol.keccak import keccak
from sequencer.api import Api, ApiLimits
from sequencer.claimer import Claimer
from sequencer.config import SequencerConfig
from sequencer.desk import Desk
from sequencer.engine import Limits
from sequencer.events import BatchLost, ClockElapsed, PostBatch
from sequencer.feed import Feed, Log
from sequencer.journal import decode_event
from sequencer.machine import Machine, build_settings
from sequencer.methods import Methods
from sequencer.snapshot import load_machine
from sequencer.submissions import Deployed
from sequencer.verify import Verifiers

POST_GAS = 250_000  # of a post beside its calldata, without messages
POST_BYTE_GAS = 42  # EIP-7623's floor is 40 a byte that is not zero
MESSAGE_GAS = 25_000  # storage of one message's consumption, with room
DRIFT_S = 30  # a chain may be so far ahead of the wall and still be on it
STARTING_S = 1.0
FOLLOWING_S = 0.1


def load_files(config: SequencerConfig) -> tuple[Deployment, Key]:
    """Raises `NodeError`."""
    try:
        deployment = load_deployment(Path(config.l1.deployment))
    except BadDeployment as error:
        raise NodeError(NodeCode.DEPLOYMENT, str(error)) from error
    try:
        key = load_key(Path(config.key.file), Path(config.key.password_file) if config.key.password_file else None)
    except BadKey as error:
        raise NodeError(NodeCode.KEY, str(error)) from error
    if int.from_bytes(key.address, "big") != deployment.sequencer:
        raise NodeError(NodeCode.KEY, f"the key is of 0x{key.address.hex()}, but the inbox takes batches of 0x{deployment.sequencer:040x}")
    load_steps(config.claims.steps)
    if not is_zlib_sound():
        raise NodeError(NodeCode.DEPLOYMENT, "the installed zlib inflates otherwise than the rules")
    return deployment, key


def build_limits(config: SequencerConfig, speed: int) -> Limits:
    """Durations of the wall become the chain's."""
    batches = config.batches
    return Limits(
        interval_s=max(1, round(batches.interval_s * speed)),
        frame_s=max(1, round(batches.frame_s * speed)),
        calldata_bytes=batches.calldata_bytes,
        in_flight=batches.in_flight,
    )


def restore_machine(deployment: Deployment, limits: Limits, store: Store) -> Machine:
    """From the newest snapshot and the journal behind it."""
    settings = build_settings(deployment.rules, limits)
    found = store.load_snapshot()
    number, machine = 0, Machine(deployment.rules, settings)
    if found is not None:
        number, record = found
        machine = load_machine(record, deployment.rules, settings)
    for _, record in store.read(number):
        machine.apply(decode_event(record))
    return machine


async def read_clock(client: Client, deployment: Deployment, log: Log) -> Clock:
    """The wall's clock where the chain is on it; else set by the head, which it may lag by a block but not lead."""
    while True:
        try:
            await client.check_chain(deployment.chain_id)
            head = await client.get_head()
        except WrongChain as error:
            raise NodeError(NodeCode.CHAIN, str(error)) from error
        except (Unavailable, RpcError) as error:
            log("l1.unavailable", {"error": str(error)})
            await trio.sleep(STARTING_S)
            continue
        now = time.time()
        if deployment.speed == 1 and head.time <= now + DRIFT_S:
            return Clock()
        return Clock(now, head.time, float(deployment.speed))


class Poster:
    """Gives batches to the sender in order, and tells the machine of those that will not land."""

    def __init__(self, sender: Sender, inbox: bytes, desk: Desk, log: Log) -> None:
        self._sender = sender
        self._inbox = inbox
        self._desk = desk
        self._log = log
        self._send, self._receive = trio.open_memory_channel[PostBatch](1_024)

    def post(self, effect: PostBatch) -> None:
        """Does not block: the machine keeps few in flight."""
        self._send.send_nowait(effect)

    async def run(self) -> None:
        """For ever."""
        async with trio.open_nursery() as nursery:
            async for effect in self._receive:
                data = encode_post(effect.number, effect.first, effect.last, effect.message_count, effect.frames)
                gas = POST_GAS + POST_BYTE_GAS * len(data) + MESSAGE_GAS * effect.message_count
                name = f"batch:{effect.entry}:{effect.attempt}:{keccak(data)[:8].hex()}"
                number = await self._sender.submit(self._inbox, data, 0, gas, name)
                fields = {"entry": effect.entry, "attempt": effect.attempt, "bytes": len(data), "frames": len(effect.frames)}
                self._log("batch.posted", fields)
                nursery.start_soon(self._watch, effect, number)

    async def _watch(self, effect: PostBatch, number: int) -> None:
        try:
            receipt = await self._sender.wait(number)
        except NotSent as error:
            self._log("batch.lost", {"entry": effect.entry, "error": str(error)})
            await self._desk.submit([BatchLost(self._desk.clock.now(), effect.entry, False)])
            return
        if not receipt.ok:
            await self._follow(receipt.block_number)
            self._log("batch.lost", {"entry": effect.entry, "block": receipt.block_number, "reason": receipt.reason})
            await self._desk.submit([BatchLost(self._desk.clock.now(), effect.entry, True)])

    async def _follow(self, number: int) -> None:
        """Until the machine knows of the block: a reorganisation may have put the same batch, sent before, into it, and what landed is told
        first."""
        while True:
            if self._desk.machine.head_number >= number:
                return
            await trio.sleep(FOLLOWING_S)


async def _tick(desk: Desk, tick_s: float) -> None:
    while True:
        await trio.sleep(tick_s)
        await desk.submit([ClockElapsed(desk.clock.now())])


async def serve(config: SequencerConfig, log: Log, *, task_status: trio.TaskStatus[Mapping[str, Any]]) -> None:
    """The whole daemon, until cancelled."""
    deployment, key = load_files(config)
    data = Path(config.data_dir)
    store, items = Store(data / "sequencer.sqlite"), Items(data / "items.sqlite")
    machine = restore_machine(deployment, build_limits(config, deployment.speed), store)
    log("sequencer.restored", {"records": store.last, "batches": machine.landed, "clock": machine.state.globals.clock})
    try:
        async with Provider(config.l1.url, timeout_s=config.l1.timeout_s) as provider, trio.open_nursery() as nursery:
            client = Client(provider)
            desk = Desk(machine, store, await read_clock(client, deployment, log))
            desk.snapshot_records = config.snapshot_records
            policy = Policy(depth=config.l1.confirmations)
            sender = Sender(client, key, deployment.chain_id, SenderJournal(items), policy, poll_s=config.l1.poll_s, log=log)
            feed = Feed(client, deployment, desk, config.l1.confirmations, config.l1.poll_s, log)
            poster = Poster(sender, deployment.get_address("Inbox"), desk, log)
            desk.on_post = poster.post
            nursery.start_soon(store.run)
            nursery.start_soon(desk.run)
            nursery.start_soon(sender.run)
            nursery.start_soon(poster.run)
            for effect in machine.get_posts():
                poster.post(effect)
            await nursery.start(feed.run)
            nursery.start_soon(_tick, desk, config.tick_s)
            if config.claims.is_on:
                claimer = Claimer(client, deployment, sender, feed.reader, items, config.claims.steps, log)
                claimer.finalizes = config.claims.finalizes
                feed.on_block = claimer.wake
                nursery.start_soon(claimer.run)
            announcement = await _start_api(nursery, config, deployment, desk, log)
            task_status.started(announcement)
    finally:
        store.close()
        items.close()


async def _start_api(nursery: trio.Nursery, config: SequencerConfig, deployment: Deployment, desk: Desk, log: Log) -> dict[str, Any]:
    verifiers = Verifiers(config.verify_workers, log)
    nursery.start_soon(verifiers.run)
    server = config.server
    limits = ApiLimits(server.connections, server.message_bytes, server.outstanding, server.queue)
    deployed = Deployed(deployment.chain_id, deployment.addresses["Vault"], deployment.preset, deployment.speed, config.server.posts_noops)
    api = Api(desk, Methods(desk, deployed), verifiers, limits, log)
    desk.on_news = api.tell
    port = await nursery.start(functools.partial(api.serve, server.host, server.port))
    nursery.start_soon(_finish, desk, api)
    return {"host": server.host, "port": port, "url": f"ws://{server.host}:{port}"}


async def _finish(desk: Desk, api: Api) -> None:
    """Waits for the end, and tidies up before the rest is gone."""
    try:
        await trio.sleep_forever()
    finally:
        api.stop()
        with trio.CancelScope(shield=True):
            await desk.save_snapshot()


def main(config_path: Path | None, overrides: Mapping[str, str] | None = None, *, with_parent: bool = False) -> int:
    """The exit code: 0 stopped, 1 crashed, 2 refused."""

    async def service(*, task_status: trio.TaskStatus[Mapping[str, Any]]) -> None:
        config = load_config(config_path, SequencerConfig, overrides)
        log = make_log(configure_logs(config.log, "sequencer"))
        await serve(config, log, task_status=task_status)

    return run_daemon("sequencer", service, with_parent=with_parent)
