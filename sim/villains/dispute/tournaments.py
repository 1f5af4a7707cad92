"""Many claims at once: who sits in whose group, who is made to win, who kills whom; positions that are opened again. For groups of 4."""

from sim.arena import VILLAIN
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.stage import Liar, Pace, Stage, act_late, act_never, act_promptly


def _enter_many(stage: Stage, count: int, late: bool = False) -> list[Liar]:
    """Each with a key of its own."""
    pace = act_late if late else act_never
    return [stage.enter(stage.forge(stage.pick_step()), pace, who=VILLAIN + len(stage.liars)) for _ in range(count)]


def _enter_among(stage: Stage, before: int, after: int, late: bool = False) -> list[Liar]:
    """The honest claim enters after so many, and so many follow it."""
    first = _enter_many(stage, before, late)
    stage.run(until=stage.has_right)
    return first + _enter_many(stage, after, late)


def _enter_kings(stage: Stage, after: int) -> None:
    """Three enter before the honest claim and share its group; in every other one the first wins against the rest."""
    liars = _enter_among(stage, 3, after, late=True)
    for first in range(3, len(liars), 4):
        _crown(liars[first : first + 4], act_late)


def _crown(liars: list[Liar], pace: Pace) -> None:
    """The first wins against the others of its group, which stay silent."""
    king, *others = liars
    king.pace, king.victims = pace, {other.claim_id for other in others}
    for other in others:
        other.pace = act_never


@villain(
    "Dave PRT paper (301 participants), attack 10",
    "whoever is wrong loses in the group, whoever is not refuted there is left behind",
    Fate.STEP,
    Fate.ROUND,
)
def group_stuffers(stage: Stage) -> None:
    """Fill the honest claim's group to the last place, each playing to its last second, and two more groups beside it."""
    _enter_among(stage, 3, 8, late=True)


@villain(
    "Dave harness the_node_collects_an_abandoned_match",
    "a group with several left sends nobody, and nobody has to pay for that",
    Fate.CLOCK,
    Fate.ROUND,
)
def idle_groups(stage: Stage) -> None:
    """Seven claims that never move; four of them have a group of their own, where nobody refutes them."""
    _enter_among(stage, 1, 6)


@villain(
    "Dave dispute-game.md (a skewed schedule makes many matches), attack 10",
    "a round's duels all run at once: R rounds of a group each, whoever is made to win",
    Fate.STEP,
    Fate.RIVAL,
)
def kingmakers(stage: Stage) -> None:
    """In every other group the liars let one of them win, so that the honest claim meets a full group again in the next round."""
    _enter_kings(stage, 12)


@villain(
    "attack 10 (a million Sybils), attack 4",
    "the longest way there is takes R * D: the honest claim clears every group in time",
    Fate.STEP,
    Fate.RIVAL,
)
def kings_of_three_rounds(stage: Stage) -> None:
    """Twenty claims and three rounds: kings meet the honest claim in the second round, and one that had nobody there in the third."""
    _enter_kings(stage, 16)


@villain(
    "attack 10 (liars fill the group in one block)",
    "entry has no limit: the next group is its own, and it moves up by being alone",
    Fate.RIVAL,
    Fate.STEP,
)
def closed_doors(stage: Stage) -> None:
    """In the block in which the epoch may be claimed they fill a whole group, with a king in it, before anybody else is there."""
    _crown(_enter_many(stage, 4), act_promptly)


@villain(
    "attack 7 (neither leaf is right), C4 2024-07 #90",
    "whoever is wrong dies, both if both are; the truth is alone with its pot",
    Fate.RIVAL,
)
def mutual_killers(stage: Stage) -> None:
    """Two liars refute each other before the honest party gets to them, so that nobody is left to pay for its work."""
    at = stage.pick_step()
    first, second = (stage.enter(stage.forge(at), who=VILLAIN + number) for number in (0, 1))
    first.victims, first.proves, second.victims = {second.claim_id}, True, {first.claim_id}
    for _ in range(2 * stage.params.rounds):
        _play_each_other(stage, first, second)


@villain(
    "attack 2; cartesi/dave#22 (no winner halts)",
    "the position opens anew by itself, and the truth enters in any generation",
    Fate.RIVAL,
    Fate.STEP,
)
def reopeners(stage: Stage) -> None:
    """While nobody honest is awake, liars kill each other off three times, to start the entry window anew; then one lies in earnest."""
    for generation in (1, 2, 3):
        at = stage.pick_step()
        first, second = (stage.enter(stage.forge(at), who=VILLAIN + number) for number in (0, 1))
        first.proves = True
        stage.court.set_time(stage.court.get_position(stage.court.genesis).close)
        for _ in range(2 * stage.params.rounds):
            _play_each_other(stage, first, second)
        if stage.court.get_position(stage.court.genesis).generation != generation:
            stage.broken.append("a position that nobody can win was not reopened")
    stage.enter(stage.forge(stage.pick_step()), act_late)


def _play_each_other(stage: Stage, first: Liar, second: Liar) -> None:
    """One move of each, before anybody honest sees a block."""
    first.victims, second.victims = {second.claim_id}, {first.claim_id}
    for liar in (first, second):
        liar.act(stage)


@villain(
    "cartesi/dave#275 (a freeze for ever), Dave testPostSealBothClocksRunAndEliminateAfterDoubleTimeout",
    "whoever is out dies, both if both are: nothing has to be computed from what is left",
    Fate.RIVAL,
)
def double_timeout(stage: Stage) -> None:
    """Two liars let their clocks against each other run out together, and a third hand calls the timeout."""
    first, second = _enter_many(stage, 2)
    stage.run(until=stage.has_right)
    stage.censors = lambda: True
    params, court = stage.params, stage.court
    court.set_time(court.get_position(court.genesis).close + params.grace_s + params.censorship_s + 1)
    court.transact(VILLAIN, "Claims", "timeout", first.claim_id, second.claim_id)
    stage.censors = lambda: False


TOURNAMENTS = (
    group_stuffers,
    idle_groups,
    kingmakers,
    kings_of_three_rounds,
    closed_doors,
    mutual_killers,
    reopeners,
    double_timeout,
)
