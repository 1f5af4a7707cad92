"""What actors share at run time: the deployment, the sequencer's connection and clock, and traders with open accounts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import trio
from coincurve import PrivateKey

from l1.client import Client
from l1.deploy import BadDeployment, Deployment, load_deployment
from l1.keys import Key
from l1.provider import Provider
from node.errors import NodeCode, NodeError
from node.logs import LogFunction, configure_logs, make_log
from protocol.codes import Code
from sim.actors.config import Actor, MarketSection, TraderConfig, load_keys, open_source
from sim.actors.funding import open_accounts
from sim.actors.trader import Trader
from sim.client import CallRefused, Disconnected, Session, open_session
from sim.market.source import Source

RETRY_S = 0.3
OPEN_S = 120.0  # until a deposit has arrived on L2, on the wall
Tick = Callable[[int], Awaitable[None]]


@dataclass
class Scene:
    """Where an actor acts."""

    config: Actor
    deployment: Deployment
    session: Session
    source: Source
    log: LogFunction

    @property
    def speed(self) -> int:
        """Chain seconds a second of the wall."""
        return self.deployment.speed

    async def get_time(self) -> int:
        """The sequencer's clock, chain seconds: what an order or a mark is held against."""
        return int(await self.session.call("public/get_time"))

    async def run_ticks(self, tick: Tick) -> None:
        """`tick(now)` at the configured pace, until the source has no more. A tick that takes longer delays the next."""
        due = trio.current_time()
        while True:
            now = await self.get_time()
            has_more = self.source.advance(now)
            await tick(now)
            if not has_more:
                self.log("market.over", {"now": now})
                await trio.sleep_forever()
            due = max(due + self.config.every_s, trio.current_time())
            await trio.sleep_until(due)


def read_deployment(config: Actor) -> Deployment:
    """Raises `NodeError`."""
    try:
        return load_deployment(Path(config.l1.deployment))
    except BadDeployment as error:
        raise NodeError(NodeCode.DEPLOYMENT, str(error)) from error


async def connect(nursery: trio.Nursery, url: str) -> Session:
    """As soon as the sequencer listens."""
    while True:
        try:
            return await open_session(nursery, url)
        except Disconnected:
            await trio.sleep(RETRY_S)


async def place_market(config: Actor, deployment: Deployment) -> MarketSection:
    """A walk that names no start begins with the deployment, so that all actors see the same one."""
    if config.market.kind != "walk" or config.market.origin:
        return config.market
    async with Provider(config.l1.url, timeout_s=config.l1.timeout_s) as provider:
        header = await Client(provider).get_header(deployment.block)
    if header is None:
        raise NodeError(NodeCode.CHAIN, f"the endpoint does not have block {deployment.block}, where the deployment begins")
    return msgspec.structs.replace(config.market, origin=header.time)


async def open_scene(nursery: trio.Nursery, name: str, config: Actor) -> Scene:
    """Connected. Raises `NodeError` if the sequencer serves another deployment."""
    log = make_log(configure_logs(config.log, name))
    deployment = read_deployment(config)
    source = open_source(await place_market(config, deployment))
    session = await connect(nursery, config.sequencer)
    status = await session.call("public/status")
    if int(status["vault"], 16) != deployment.addresses["Vault"] or status["chain_id"] != deployment.chain_id:
        raise NodeError(NodeCode.DEPLOYMENT, f"{config.sequencer} serves another deployment")
    return Scene(config, deployment, session, source, log)


# -- traders


async def open_traders(scene: Scene, config: TraderConfig) -> list[Trader]:
    """Accounts by deposits on L1, then waits until the sequencer knows them."""
    keys = load_keys(config)
    async with Provider(config.l1.url, timeout_s=config.l1.timeout_s) as provider:
        indices = await open_accounts(Client(provider), scene.deployment, keys, config.deposit, config.l1.poll_s)
    traders = [await _open_trader(scene, key, index) for key, index in zip(keys, indices, strict=True)]
    scene.log("accounts.open", {"accounts": indices})
    return traders


async def _open_trader(scene: Scene, key: Key, index: int) -> Trader:
    trader = Trader(PrivateKey(key.secret), scene.deployment.rules.domain, index)
    with trio.move_on_after(OPEN_S):
        while not await refresh(scene.session, trader):  # noqa: ASYNC110 - what changes is in another process
            await trio.sleep(RETRY_S)
        challenge = (await scene.session.call("public/get_challenge"))["challenge"]
        await scene.session.call(*trader.sign_login(challenge, scene.deployment.chain_id, scene.deployment.addresses["Vault"]))
        return trader
    raise NodeError(NodeCode.CHAIN, f"account {index} did not open on L2 within {OPEN_S:.0f} s")


async def refresh(session: Session, trader: Trader) -> bool:
    """Generation and nonce by the sequencer's word; False if it does not know the account."""
    owner = "0x" + trader.owner.hex()
    try:
        account = await session.call("public/get_account", {"owner": owner})
    except CallRefused as error:
        if error.code != Code.ACCOUNT:
            raise
        return False
    trader.generation, trader.nonce = account["generation"], max(trader.nonce, account["nonce"])
    return True


async def place(scene: Scene, traders: Mapping[int, Trader], orders: Sequence[Any], is_immediate: bool) -> list[Any]:
    """In messages of a bounded size. Answers in order: an order with its trades, or an error. A trader whose generation was raised is
    refreshed; one whose nonces were used before we came skips some.
    """
    answers: list[Any] = []
    for start in range(0, len(orders), 128):
        signed = [traders[order.account].sign_order(order, is_immediate) for order in orders[start : start + 128]]
        answers += await scene.session.call("straddle/place_orders", {"orders": signed})
    codes: dict[int, set[int]] = {}
    for order, answer in zip(orders, answers, strict=True):
        codes.setdefault(order.account, set()).add(answer.get("error", {}).get("code", Code.OK))
    for account, found in codes.items():
        if Code.GENERATION in found:
            await refresh(scene.session, traders[account])
        if Code.NONCE in found:
            traders[account].skip_nonces()
    return answers
