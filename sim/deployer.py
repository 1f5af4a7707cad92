"""Deploying and verifying from files: what `straddle deploy` does, and every simulated world at its start."""

from pathlib import Path

import trio

from l1.client import Client
from l1.deploy import Deployment, Plan, deploy, load_deployment, save_deployment
from l1.keys import Key, load_key
from l1.provider import Provider
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from l1.verify import Finding, inspect

POLL_S = 0.2


async def deploy_with(client: Client, key: Key, plan: Plan) -> Deployment:
    """With a sender of its own. Raises `BadDeployment`, `DeployFailed`, `Unavailable`."""
    sender = Sender(client, key, await client.get_chain_id(), MemoryJournal(), Policy(depth=1), poll_s=POLL_S)
    async with trio.open_nursery() as nursery:
        await nursery.start(sender.run)
        deployment = await deploy(client, sender, plan)
        nursery.cancel_scope.cancel()
    return deployment


async def deploy_from_file(url: str, key: Path, password: Path | None, plan: Plan, out: Path) -> None:
    """Writes the deployment file."""
    async with Provider(url) as provider:
        save_deployment(out, await deploy_with(Client(provider), load_key(key, password), plan))


async def inspect_file(url: str, path: Path) -> list[Finding]:
    """What the contracts are that the deployment file names. Raises `BadDeployment` for the file itself, and `WrongChain`."""
    deployment = load_deployment(path)
    async with Provider(url) as provider:
        return await inspect(Client(provider), deployment)
