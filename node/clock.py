"""Chain time from the wall's. On a devnet the chain's clock may run faster, to replay a day in minutes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import trio


@dataclass(frozen=True)
class Clock:
    """`chain_start` (chain seconds) is now when the wall shows `wall_start` (Unix seconds); then `speed` chain seconds pass for one of the
    wall.

    A real chain has both starts equal and speed 1. Handed to whoever needs the time; never a global.
    """

    wall_start: float = 0.0
    chain_start: int = 0
    speed: float = 1.0
    wall: Callable[[], float] = time.time

    def now(self) -> int:
        """Whole chain seconds, rounded down: never ahead of the chain."""
        return self.chain_start + int((self.wall() - self.wall_start) * self.speed)

    def to_wall_s(self, chain_s: float) -> float:
        """How long `chain_s` chain seconds take on the wall."""
        return chain_s / self.speed

    async def sleep(self, chain_s: float) -> None:
        """For so many chain seconds."""
        await trio.sleep(self.to_wall_s(chain_s))
