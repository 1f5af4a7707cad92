"""How a lie about the exchange is put together: what happens in its epoch, and the step that is told otherwise."""

from collections.abc import Callable, Sequence
from types import MappingProxyType

from protocol.codec.frames import Batch
from protocol.machine import StepFunction
from protocol.params import Params
from protocol.steps import STEPS
from protocol.types import Phase
from sim.scribe import Scribe
from sim.villains.exchange.scene import RICH, Scene
from sim.villains.lies import Bait, Lie

FOUR = (RICH, RICH, RICH, RICH)


def make_lie(
    name: str,
    story: str,
    phase: Phase,
    step: StepFunction,
    act: Callable[[Scene], None],
    money: Sequence[int] = FOUR,
    others: Sequence[Phase] = (),
    life_s: int | None = None,
    is_forced: bool = False,
) -> Lie:
    """`act` plays the epoch in which the lie matters. `others` are phases that tell the same lie; `life_s` until the scene's expiry;
    `is_forced` without a sequencer."""

    def make_epoch(params: Params, domain: bytes | None) -> tuple[Scribe, list[Batch]]:
        scene = Scene(params, domain, money, life_s, is_forced)
        act(scene)
        return scene.finish()

    return Lie(name, story, phase, Bait.NOTHING, MappingProxyType({**STEPS, phase: step, **dict.fromkeys(others, step)}), make_epoch)
