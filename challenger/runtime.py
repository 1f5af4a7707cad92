"""The challenger daemon: the machine with an endpoint, a worker that traces, a sender and a store around it.

A *session* follows the chain from the deployment's block with a fresh machine. When the endpoint contradicts itself the session ends and
another one starts; nothing is lost with it, since all of it comes from L1. The sender and its journal outlive sessions: an action has the
same name in all of them, and is submitted once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from challenger.audit import Hidden
from challenger.config import ChallengerConfig
from challenger.session import Session, Surroundings
from challenger.sink import Sink
from challenger.state import Settings
from challenger.worker import WorkerDied
from l1.client import Client, WrongChain
from l1.deploy import BadDeployment, Deployment, load_deployment
from l1.follower import ReorgTooDeep
from l1.keys import BadKey, Key, load_key
from l1.provider import Provider, RpcError, Unavailable
from l1.sender import Sender
from l1.sender_queue import Policy
from l1.shapes import Malformed
from l1.verify import verify
from node.config import load_config
from node.errors import NodeCode, NodeError
from node.logs import LogFunction, configure_logs, make_log
from node.runtime import EXIT_STOPPED, run_daemon
from node.steps import load_steps
from node.store import Items, SenderJournal
from protocol.codec.inflate import is_zlib_sound

RETRY_S = 2.0
EXIT_INVALID = 3  # of `--once`: a wrong claim was seen
EXIT_UNAVAILABLE = 4  # of `--once`: an epoch could not be judged


@dataclass
class Outcome:
    """What `--once` found."""

    code: int = EXIT_STOPPED


def load_parts(config: ChallengerConfig) -> tuple[Deployment, Key | None]:
    """Raises `NodeError`."""
    try:
        deployment = load_deployment(Path(config.l1.deployment))
    except BadDeployment as error:
        raise NodeError(NodeCode.DEPLOYMENT, str(error)) from error
    load_steps(config.dispute.steps)
    if not is_zlib_sound():
        raise NodeError(NodeCode.DEPLOYMENT, "the installed zlib inflates otherwise than the rules")
    if not config.key.file:
        return deployment, None
    try:
        key = load_key(Path(config.key.file), Path(config.key.password_file) if config.key.password_file else None)
    except BadKey as error:
        raise NodeError(NodeCode.KEY, str(error)) from error
    return deployment, key


def build_settings(config: ChallengerConfig, deployment: Deployment, key: Key | None) -> Settings:
    """The machine's, from the file's."""
    dispute, params = config.dispute, deployment.params
    return Settings(
        params=params,
        genesis_root=deployment.genesis_root,
        me=None if key is None else int.from_bytes(key.address, "big"),
        claim_if_missing=dispute.claim_if_missing,
        claim_delay_s=dispute.claim_delay_s,
        confirmations=config.l1.confirmations,
        urgent_s=dispute.urgent_s or params.grace_s >> 1,
        takes_turns=dispute.takes_turns,
        max_lag_s=dispute.max_lag_s if deployment.speed == 1 else 0,
    )


async def check_deployment(client: Client, config: ChallengerConfig, deployment: Deployment, log: LogFunction) -> None:
    """Waits for the endpoint; raises `NodeError` for another chain or other code."""
    while True:
        try:
            await client.check_chain(deployment.chain_id)
            if config.dispute.verify_deployment:
                await verify(client, deployment)
            return
        except WrongChain as error:
            raise NodeError(NodeCode.CHAIN, str(error)) from error
        except BadDeployment as error:
            raise NodeError(NodeCode.DEPLOYMENT, str(error)) from error
        except (Unavailable, RpcError) as error:
            log("l1.unavailable", {"error": str(error)})
            await trio.sleep(RETRY_S)


async def serve(
    config: ChallengerConfig, log: LogFunction, *, once: bool, outcome: Outcome, task_status: trio.TaskStatus[Mapping[str, Any]]
) -> None:
    """Until cancelled; with `once`, until all that is there now is judged."""
    deployment, key = load_parts(config)
    folder = Path(config.data_dir)
    items = Items(folder / "challenger.db")
    try:
        async with Provider(config.l1.url, timeout_s=config.l1.timeout_s) as provider, trio.open_nursery() as nursery:
            client = Client(provider)
            await check_deployment(client, config, deployment, log)
            sender = None
            if key is not None:
                policy = Policy(depth=config.l1.confirmations)
                sender = Sender(client, key, deployment.chain_id, SenderJournal(items), policy, poll_s=config.l1.poll_s, log=log)
                nursery.start_soon(sender.run)
            sink = Sink(folder, items, log)
            around = Surroundings(config, deployment, build_settings(config, deployment, key), client, sender, items, sink, log)
            address = None if key is None else "0x" + key.address.hex()
            task_status.started(
                {"address": address, "chain_id": deployment.chain_id, "claims": "0x" + deployment.get_address("Claims").hex()}
            )
            await run_sessions(around, once=once)
            if sink.unavailable:
                outcome.code = EXIT_UNAVAILABLE
            elif sink.counts["invalid"]:
                outcome.code = EXIT_INVALID
            nursery.cancel_scope.cancel()
    finally:
        items.close()


async def run_sessions(around: Surroundings, *, once: bool) -> None:
    """One after another, as long as the endpoint's nonsense ends them; with `once`, one."""
    while True:
        try:
            await Session(around, once=once).run()
            return
        except* (Malformed, Hidden, ReorgTooDeep, WorkerDied) as group:
            reasons = sorted({str(error) for error in _flatten(group)})
            around.log("session.over", {"reasons": reasons})
        await trio.sleep(RETRY_S)


def _flatten(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _flatten(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def main(config_path: Path | None, overrides: Mapping[str, str] | None = None, *, with_parent: bool = False, once: bool = False) -> int:
    """The exit code: 0 stopped, 1 crashed, 2 refused; with `once` 0 all claims are right, 3 one is wrong, 4 one cannot be judged."""
    outcome = Outcome()

    async def service(*, task_status: trio.TaskStatus[Mapping[str, Any]]) -> None:
        config = load_config(config_path, ChallengerConfig, overrides)
        log = make_log(configure_logs(config.log, "challenger"))
        await serve(config, log, once=once, outcome=outcome, task_status=task_status)

    return run_daemon("challenger", service, with_parent=with_parent) or outcome.code
