"""What an actor's file says. Keys are devnet key files: nothing secret stands in a configuration or on a command line."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from l1.keys import BadKey, Key, load_dev_key
from node.config import Config, Positive, Section, load_config
from node.errors import NodeCode, NodeError
from sim.market.quotes import QuoteFileError
from sim.market.source import ReplaySource, ShockedSource, Source, WalkSource

Rate = Annotated[float, msgspec.Meta(gt=0, le=10_000)]


class MarketSection(Section, frozen=True):
    """Where prices come from. `origin` is the chain time at which a walk starts, by default that of the deployment; a replay starts where
    its window does. From chain time
    `shock_at` on, if it is set, every forward is higher by the share `shock`. A walk lists one more expiry so many chain seconds after its
    start, if `first_expiry_s` is set.
    """

    kind: Literal["walk", "replay"] = "walk"
    seed: int = 1
    origin: Annotated[int, msgspec.Meta(ge=0)] = 0
    pace: Rate = 60.0
    file: str = ""
    start: str = "00:00"
    end: str = "24:00"
    first_expiry_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    shock_at: Annotated[int, msgspec.Meta(ge=0)] = 0
    shock: Annotated[float, msgspec.Meta(gt=-0.9, lt=9)] = 0.0


class Actor(Config, frozen=True):
    """`keys` are files; `every_s` is the pace of its ticks on the wall."""

    sequencer: str = "ws://127.0.0.1:8650"
    keys: list[str] = msgspec.field(default_factory=list)
    every_s: Rate = 1.0
    market: MarketSection = MarketSection()


class OracleConfig(Actor, frozen=True):
    """Signs with as many of `keys` as the quorum wants, in the order of the deployment's oracles."""


class TraderConfig(Actor, frozen=True):
    """Opens an account for each key by a deposit of so much, 1e-6 USD."""

    deposit: Positive = 10_000_000_000_000


class LiquidatorConfig(TraderConfig, frozen=True):
    """One account, which bids for at most `max_lots` at once when the discount is at least `discount` percent."""

    discount: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.5
    max_lots: Positive = 1_000


class MakersConfig(TraderConfig, frozen=True):
    """At most `series` instruments, at most `max_lots` a side of a quote."""

    series: Positive = 24
    max_lots: Positive = 50


class TakersConfig(TraderConfig, frozen=True):
    """`rate` orders a second of the wall, drawn from `seed`. `withdraw` is what its first account takes out (1e-6 USD) after so many
    fills.
    """

    rate: Rate = 20.0
    seed: int = 1
    series: Positive = 24
    withdraw: Annotated[int, msgspec.Meta(ge=0)] = 0
    withdraw_after: Positive = 50


A = TypeVar("A", bound=Actor)


def load_actor(path: Path | None, kind: type[A], overrides: dict[str, str] | None = None) -> A:
    """Names of files are taken from the configuration's directory, as those of every daemon."""
    config = load_config(path, kind, overrides)
    base = Path() if path is None else path.parent
    market = msgspec.structs.replace(config.market, file=str(base / config.market.file) if config.market.file else "")
    return msgspec.structs.replace(config, keys=[str(base / name) for name in config.keys], market=market)


def load_keys(config: Actor) -> list[Key]:
    """Raises `NodeError`."""
    try:
        return [load_dev_key(Path(name)) for name in config.keys]
    except BadKey as error:
        raise NodeError(NodeCode.KEY, str(error)) from error


def open_source(market: MarketSection) -> Source:
    """Raises `NodeError` for a file that is not what it should be."""
    try:
        source: Source = (
            WalkSource(market.seed, market.origin, market.pace, market.first_expiry_s)
            if market.kind == "walk"
            else ReplaySource(Path(market.file), market.start, market.end)
        )
    except QuoteFileError as error:
        raise NodeError(NodeCode.CONFIG_FIELD, f"market.file: {error}") from error
    return ShockedSource(source, market.shock_at, market.shock) if market.shock_at else source
