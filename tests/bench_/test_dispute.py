"""What a dispute costs: the figures' parts against each other and against py-evm, and goals that are missed when they should be."""

import json
from collections import defaultdict
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.dispute import COLD, GAS, Cold, Game, count_duels, main, measure, simulate, simulate_duel
from bench.dispute import check_goals as list_goals
from protocol.params import DEVNET, MAINNET, MINIMAL
from sim.evm import Contract, Evm, Result
from tests.contracts.chain import PyEvm
from tests.contracts.world import GAS_PRICE, World

SMALL = replace(MAINNET, group_bits=2)


class Meter(list[tuple[str, int, int]]):
    """Every call of `Claims`: its function, its gas, the gas that its sender is credited. All callers are the claimants they work for."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._transact, self._claims = world.evm.transact, world.claims
        world.evm.transact = self._watch  # type: ignore[method-assign]  # the real one runs, and is written down

    def _watch(self, sender: str, contract: Contract, function: str, *args: Any, **options: Any) -> Result:
        result = self._transact(sender, contract, function, *args, **options)
        if contract is self._claims:
            owed = [int(event.fields["amount"]) for event in result.events if event.name == "WorkCredited"]
            if function == "finalize":  # the first is for the claim, without the half on top
                self.append(("claim", 0, owed.pop(0) // GAS_PRICE))
            self.append((function, result.gas_used, sum(owed) // GAS_PRICE * 2 // 3))
        return result


def play_all_calls(evm: Evm) -> Meter:
    """Groups of four: four liars, and the honest claim, which moves up alone. Deaths that leave several, one, and the winner."""
    world = World(height=28, group_bits=2, batch_depth=12, evm=evm)
    alice, mallory = evm.create_account(), evm.create_account()
    honest = world.compute_honest(world.run_epoch(3))
    lies = [world.compute_lie(honest, 17 + i, i) for i in range(4)]
    meter, patience = Meter(world), world.times.grace_s + world.times.censorship_s
    for claim, who in [*((lie, mallory) for lie in lies), (honest, alice)]:
        world.enter(claim, who)
    world.pass_close(world.genesis)
    world.promote(honest, alice)
    world.play(lies[0], lies[1], mallory, mallory)
    world.prove(mallory, lies[1], lies[0], world.compute_headers(honest.epoch))
    world.move(mallory, lies[1], lies[2])
    world.move(mallory, lies[1], lies[3])
    evm.advance(patience // 2)
    world.move(mallory, lies[3], lies[1])
    evm.advance(patience // 2 + 1)
    world.timeout(mallory, lies[1], lies[2])
    world.play(lies[1], lies[3], mallory, mallory)
    world.prove(mallory, lies[3], lies[1], world.compute_headers(honest.epoch))
    evm.set_time(max(evm.timestamp, world.get_start(world.genesis, 1)))
    world.move(alice, honest, lies[3], next_too=False)
    world.move(alice, honest, lies[3])
    evm.advance(patience + 1)
    world.timeout(alice, honest, lies[3])
    evm.transact(alice, world.claims, "finalize", honest.id, gas_price=GAS_PRICE)
    return meter


def test_cold__the_same_dispute_on_both_machines__is_what_first_touches_add() -> None:
    warm, cold = play_all_calls(Evm()), play_all_calls(PyEvm())
    paid, metered = defaultdict(list), defaultdict(list)
    for (name, warm_gas, warm_owed), (_, cold_gas, cold_owed) in zip(warm, cold, strict=True):
        paid[name].append(cold_gas - warm_gas)
        if cold_owed:
            metered[name].append(cold_owed - warm_owed)
    assert {name: Cold(max(paid[name]), min(metered[name])) for name in metered} == COLD


def test_simulate__every_seat_of_a_small_tournament__the_first_meets_most_and_the_formula_says_how_many() -> None:
    for sybils in (1, 3, 4, 17, 63, 64):
        courses = [simulate(sybils, SMALL, seat) for seat in range(sybils + 1)]
        assert max(courses, key=lambda course: sum(course.duels)).duels == courses[0].duels == count_duels(sybils + 1, SMALL)
        assert max(course.delay_s for course in courses) == courses[0].delay_s <= SMALL.entry_s + 4 * SMALL.tournament_round_s


def test_simulate_duel__a_liar_at_its_last_second__takes_its_clock_and_a_grace_for_each_move() -> None:
    mine, seconds = simulate_duel(MAINNET)
    assert mine == [0, 2, 4, 6]
    assert seconds == MAINNET.censorship_s + 3 * MAINNET.grace_s < MAINNET.tournament_round_s


def test_play__groups_of_four_and_a_lone_liar__meets_as_many_as_in_the_model() -> None:
    game, course = Game(8, MINIMAL).play(), simulate(8, MINIMAL)
    assert tuple(course) == ([3, 1], [3, 2], game["delay_s"] - 1)  # the court's block that makes it final comes a second later
    assert game["by_call"]["prove"]["count"] == sum(course.duels)


def test_measure__the_smallest_game__is_what_the_model_says_and_meets_all_goals() -> None:
    figures = measure(played=(2,), simulated=(2, 40))
    (game,) = figures["played"]
    course = simulate(2, DEVNET)
    assert (game["rounds"], game["by_call"]["prove"]["count"]) == (len(course.duels), sum(course.duels))
    assert game["by_call"]["descend"]["count"] == len(simulate_duel(DEVNET)[0]) * sum(course.duels)
    assert course.delay_s <= game["delay_s"] <= course.delay_s + 2 <= game["bound_s"]
    assert all(call["gas"] < call["repaid"] < 2 * call["gas"] for call in game["by_call"].values())
    assert [row["duels_by_round"] for row in figures["simulated"]] == [[2], [31, 1]]
    assert all(row["float_eth_at_5_gwei"] > 0 > row["net_gas"] for row in figures["played"])
    assert [goal["goal"] for goal in figures["goals"] if not goal["met"]] == []
    for path, value in (
        (("two_parties", "txs"), 17),
        (("two_parties", "gas_without_the_step"), 1_200_000),
        (("simulated", -1, "rounds"), 5),
        (("played", 0, "net_gas"), 0),
        (("simulated", -1, "a step of 3M gas", "float_eth_at_5_gwei"), 3.0),
        (("simulated", -1, "the limit of a step, 10M", "float_eth_at_5_gwei"), 7.0),
        (("simulated", -1, "delay_s"), MAINNET.entry_s + 4 * MAINNET.tournament_round_s + 1),
    ):
        worse: Any = deepcopy(figures)
        at = worse
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        assert [goal["figure"] for goal in list_goals(worse) if not goal["met"]] == [value]


@pytest.mark.parametrize(("dearer", "code"), [(0, 0), (1_000_000, 1)])
def test_main__a_goal_is_missed__says_so_by_its_exit_code(tmp_path: Path, dearer: int, code: int) -> None:
    gas = json.loads(GAS.read_text())
    gas["dispute: gas without the step"] += dearer
    (tmp_path / "gas.json").write_text(json.dumps(gas))
    path = tmp_path / "out" / "dispute.json"
    assert main(path, tmp_path / "gas.json", played=(2,), simulated=(2,)) == code
    goals = json.loads(path.read_text())["goals"]
    assert [goal["met"] for goal in goals].count(False) == code
