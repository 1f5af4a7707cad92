"""The owner of an account takes the money out of an exchange that never had a sequencer, and is stopped in between."""

from pathlib import Path

import pytest
import trio

from l1.client import Client
from l1.contracts import read
from l1.deploy import Deployment, Plan, deploy, save_deployment
from l1.keys import derive_dev_keys
from l1.provider import Provider
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from protocol.params import DEVNET
from sim.actors.funding import open_accounts
from sim.court import get_oracles
from sim.forced import ALL
from sim.leave import EXIT_NOTHING, EXIT_PAID, leave
from tests.challenger.test_runtime import run_challenger, write_config
from tests.l1.devchain import CHAIN_ID, run_devnet

DEPLOYER, SEQUENCER, HONEST, OWNER = derive_dev_keys(4)
AMOUNT = 25_000_000


async def set_up(client: Client, path: Path) -> Deployment:
    """Contracts and one deposit, which nobody takes in."""
    async with trio.open_nursery() as nursery:
        sender = Sender(client, DEPLOYER, CHAIN_ID, MemoryJournal(), Policy(depth=1), poll_s=0.05)
        await nursery.start(sender.run)
        plan = Plan("devnet", 1, int.from_bytes(SEQUENCER.address, "big"), get_oracles(DEVNET))
        deployment = await deploy(client, sender, plan)
        nursery.cancel_scope.cancel()
    save_deployment(path, deployment)
    assert await open_accounts(client, deployment, [OWNER], AMOUNT, 0.05) == [0]
    return deployment


@pytest.mark.slow
async def test_leave__stopped_and_started_again__paid_once(tmp_path: Path) -> None:
    file, told = tmp_path / "deployment.json", list[str]()
    with run_devnet(tmp_path / "devnet.log", "--block-time", "0.2", "--speed", "16") as chain:
        url = chain.ready["url"]
        async with Provider(url) as provider:
            client = Client(provider)
            deployment = await set_up(client, file)
            inbox, token = deployment.get_address("Inbox"), deployment.get_address("Token")
            honest = write_config(tmp_path / "honest", url, file, HONEST, "claim_if_missing = true")
            with run_challenger(honest), trio.fail_after(90):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(leave, url, file, OWNER, ALL, told.append)
                    while await read(client, "Inbox", inbox, "message_count") != (2,):  # noqa: ASYNC110 - on another chain
                        await trio.sleep(0.1)
                    nursery.cancel_scope.cancel()
                assert await leave(url, file, OWNER, ALL, told.append) == EXIT_PAID
                assert await read(client, "Token", token, "balanceOf", (int.from_bytes(OWNER.address, "big"),)) == (AMOUNT,)
                assert await read(client, "Inbox", inbox, "message_count") == (2,), "nothing is forced in twice"
                assert await leave(url, file, OWNER, ALL, told.append) == EXIT_NOTHING
    assert "waiting for a batch that takes the deposit in" in told
    assert "the vault has paid 25.00 USD" in told
