"""A whole world on one machine: chain, contracts, sequencer, challengers, oracle, makers, takers, each a process of its own.

Resource handling: all processes belong to the family that a world is given, and end with it. Error handling: a process that ends before
it is told to ends the world (`ChildFailed`).
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import trio

from challenger.config import ChallengerConfig, Disputes
from l1.client import Client
from l1.deploy import Deployment, Plan, save_deployment
from l1.provider import Provider
from node.config import L1, Config, KeyFiles, Logs, encode_config
from sequencer.config import Batches, Claims, SequencerConfig, Server
from sim.actors.config import LiquidatorConfig, MakersConfig, MarketSection, OracleConfig, TakersConfig
from sim.cast import CHALLENGERS, FUNDED, ORACLES, Cast, create_cast
from sim.deployer import deploy_with
from sim.process import Child, Family
from sim.villains.accomplice import AccompliceConfig
from sim.villains.lies import LIES, Bait
from sim.villains.steps import get_table_name

USD = 1_000_000
PRESET = "devnet"
ACCOMPLICE_DEPOSIT = 25_000 * USD
SHOCK_S = 5.0  # on the wall, from the bait to the move that some lies need
ACTORS = ("oracle", "makers", "takers", "liquidator", "accomplice")  # who talk to the sequencer alone
SHOCK = 0.08  # relative move of all forwards then, at once: a tenth within minutes would halt the markets
BID_S = 1.0  # on the wall, between two looks at the auctions
PATIENCE_S = 20  # on the wall, before a challenger claims what nobody else has claimed


@dataclass(frozen=True)
class Setting:
    """What makes one world another. Durations on the wall unless they say otherwise."""

    out: Path
    market: MarketSection
    speed: int = 1
    lie: str | None = None
    bait_s: float = 20.0  # from the start of trading to the bait
    rate: float = 25.0
    seed: int = 1
    mark_s: float = 5.5
    quote_s: float = 2.0
    take_s: float = 0.5
    series: int = 16
    max_lots: int = 40
    batch_s: float = 2.5
    block_s: float = 1.0
    poll_s: float = 0.3
    genesis_time: int | None = None  # chain seconds
    withdraw: int = 1_000 * USD


@dataclass
class World:
    """Running processes, and the L1 client of whoever watches."""

    setting: Setting
    family: Family
    cast: Cast
    folder: Path
    url: str = ""
    ws: str = ""
    chain_start: int = 0  # chain seconds at `wall_start`
    wall_start: float = 0.0
    market: MarketSection = field(default_factory=MarketSection)
    children: dict[str, Child] = field(default_factory=dict)

    def now(self) -> int:
        """Chain seconds, by the devnet's announcement."""
        return self.chain_start + int((time.time() - self.wall_start) * self.setting.speed)

    @property
    def deployment_path(self) -> Path:
        return self.folder / "deployment.json"

    # -- the chain

    async def start_chain(self) -> None:
        """The devnet process."""
        setting = self.setting
        options = ["--port", "0", "--with-parent", "--block-time", str(setting.block_s), "--speed", str(setting.speed)]
        options += ["--accounts", str(FUNDED)]
        options += [] if setting.genesis_time is None else ["--genesis-time", str(setting.genesis_time)]
        child = await self.family.start("devnet", ["straddle", "devnet", *options])
        self.url, self.chain_start, self.wall_start = child.ready["url"], child.ready["genesis_time"], time.time()
        self.market = msgspec.structs.replace(self.setting.market, origin=self.setting.market.origin or self.chain_start)

    async def deploy(self, client: Client) -> Deployment:
        """Contracts, and the file that says where they are."""
        oracles = tuple(self.cast.get_address(f"oracle-{at}") for at in range(ORACLES))
        plan = Plan(PRESET, self.setting.speed, self.cast.get_address("sequencer"), oracles)
        deployment = await deploy_with(client, self.cast.keys["deployer"], plan)
        save_deployment(self.deployment_path, deployment)
        return deployment

    # -- daemons

    async def start_sequencer(self) -> None:
        """With a lie, its claims say what the lie leads to."""
        lie = self.setting.lie
        claims = Claims() if lie is None else Claims(steps=get_table_name(lie))
        config = SequencerConfig(
            **self._get_common("sequencer", "sequencer"),
            server=Server(port=0, posts_noops=lie is not None),
            batches=Batches(interval_s=self.setting.batch_s),
            claims=claims,
        )
        child = await self._start("sequencer", config, ["straddle", "sequencer"])
        self.ws = child.ready["url"]

    async def start_challengers(self) -> None:
        """The first one claims, after a while, what nobody else has; the second stands beside a wrong claim at once. With a lie, somebody
        defends it, too.
        """
        patient = Disputes(claim_if_missing=True, claim_delay_s=PATIENCE_S * self.setting.speed, verify_deployment=False)
        disputes = dict(zip(CHALLENGERS, (patient, Disputes()), strict=True))
        async with trio.open_nursery() as nursery:
            for name, dispute in disputes.items():
                config = ChallengerConfig(**self._get_common(name, name), dispute=dispute)
                nursery.start_soon(self._start, name, config, ["straddle", "challenger"])
            if self.setting.lie is not None:
                lying = Disputes(verify_deployment=False, takes_turns=False, steps=get_table_name(self.setting.lie))
                config = ChallengerConfig(**self._get_common("defender", "defender"), dispute=lying)
                nursery.start_soon(self._start, "defender", config, ["sim.villains.defender"])

    async def kill_sequencer(self) -> None:
        """For good, in the middle of what it does. The actors, who talk to nobody else, stop then."""
        actors = [child for name, child in self.children.items() if name in ACTORS]
        for child in actors:
            child.is_stopping = True  # they may end before they are told to, when nobody answers them any more
        await self.family.kill(self.children["sequencer"])
        for child in actors:
            await self.family.stop(child)

    # -- actors

    async def start_market(self) -> None:
        """Oracle, makers, takers, a liquidator; and the accomplice, if there is a lie with a bait."""
        setting = self.setting
        bait = Bait.NOTHING if setting.lie is None else LIES[setting.lie].bait
        bait_at = self.now() + round(setting.bait_s * setting.speed)
        if bait == Bait.WEAK:
            self.market = msgspec.structs.replace(self.market, shock_at=bait_at + round(SHOCK_S * setting.speed), shock=SHOCK)
        common: dict[str, Any] = {"sequencer": self.ws, "market": self.market}
        oracle = OracleConfig(**self._get_common("oracle"), **common, keys=self.cast.get_paths("oracle"), every_s=setting.mark_s)
        makers = MakersConfig(
            **self._get_common("makers"), **common, keys=self.cast.get_paths("maker"), every_s=setting.quote_s, series=setting.series,
            max_lots=setting.max_lots,
        )  # fmt: skip
        takers = TakersConfig(
            **self._get_common("takers"), **common, keys=self.cast.get_paths("taker"), every_s=setting.take_s, series=setting.series,
            rate=setting.rate, seed=setting.seed, withdraw=setting.withdraw,
        )  # fmt: skip
        liquidator = LiquidatorConfig(**self._get_common("liquidator"), **common, keys=self.cast.get_paths("liquidator"), every_s=BID_S)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._start, "oracle", oracle, ["straddle", "sim", "oracle"])
            nursery.start_soon(self._start, "makers", makers, ["straddle", "sim", "makers"])
            nursery.start_soon(self._start, "takers", takers, ["straddle", "sim", "takers"])
            nursery.start_soon(self._start, "liquidator", liquidator, ["straddle", "sim", "liquidator"])
            if bait != Bait.NOTHING:
                nursery.start_soon(self._start_accomplice, bait_at)

    async def _start_accomplice(self, at: int) -> None:
        setting = self.setting
        config = AccompliceConfig(
            **self._get_common("accomplice"), sequencer=self.ws, market=self.market, keys=self.cast.get_paths("accomplice"),
            deposit=ACCOMPLICE_DEPOSIT, lie=setting.lie or "", at=at,
        )  # fmt: skip
        await self._start("accomplice", config, ["straddle", "sim", "accomplice"])

    # -- files

    def _get_common(self, name: str, key: str | None = None) -> dict[str, Any]:
        """What every configuration begins with."""
        l1 = L1(url=self.url, deployment=str(self.deployment_path.resolve()), confirmations=1, poll_s=self.setting.poll_s)
        file = KeyFiles(file=self.cast.get_path(key)) if key else KeyFiles()
        return {"data_dir": str((self.folder / "data" / name).resolve()), "l1": l1, "key": file, "log": Logs()}

    async def _start(self, name: str, config: Config, command: Sequence[str]) -> Child:
        path = self.folder / f"{name}.toml"
        path.write_text(encode_config(config))
        (self.folder / "data" / name).mkdir(parents=True, exist_ok=True)
        child = await self.family.start(name, [*command, "--config", str(path), "--with-parent"])
        self.children[name] = child
        return child


def create_world(setting: Setting, family: Family) -> World:
    """Fresh folders; nothing runs yet."""
    folder = (setting.out / "world").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return World(setting, family, create_cast(folder / "keys"), folder)


def connect(world: World) -> Provider:
    """For whoever watches L1 from here."""
    return Provider(world.url)
