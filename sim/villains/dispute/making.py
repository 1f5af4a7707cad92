"""What a dispute villain is."""

from collections.abc import Callable
from dataclasses import dataclass

from sim.villains.checks import Fate
from sim.villains.stage import Stage


@dataclass(frozen=True)
class Villain:
    """The honest machine plus one lie, or one way of playing. `act` sets it up on a stage, which then runs to its end.

    `story` is what it tries, `source` which test or audit it comes from, `answer` what beats it, `fates` how its claims must end.
    `claims`: the honest challenger claims epochs that nobody has claimed. `attack` is its number among the attacks on the dispute.
    """

    name: str
    story: str
    source: str
    answer: str
    fates: frozenset[Fate]
    act: Callable[[Stage], None]
    claims: bool = False


def villain(source: str, answer: str, *fates: Fate, claims: bool = False) -> Callable[[Callable[[Stage], None]], Villain]:
    """Name and story are those of the function."""

    def make(act: Callable[[Stage], None]) -> Villain:
        name = act.__name__.replace("_", "-")
        story = " ".join((act.__doc__ or "").split())
        return Villain(name, story, source, answer, frozenset(fates), act, claims)

    return make
