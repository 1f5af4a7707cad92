"""`make dispute-cost`: what the truth costs against any number of liars. Writes `.out/dispute.json`; exits with 1 if a goal is missed.

Up to 256 Sybils are played for real: the challenger's own machine against the real contracts on an EVM, at mainnet's height of history
and size of groups. Every Sybil is different, and answers every move at its last second; in groups without the honest claim the liars let
one of them win, so that the honest claim meets as many as it can. Larger numbers are simulated: every claim enters the model's bracket
(`protocol/tournament.py`) and every group of every round is decided in it; the honest claim's duels are those of the model
(`protocol/duel.py`), each of its moves at the price of the committed snapshot, and repaid by the share that the largest game had repaid.

The EVM in this process leaves out what a slot's first touch in a transaction costs; `COLD` adds it back. Two parties' gas is py-evm's, from
the committed snapshot.
"""

import json
import operator
import random
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from l1.contracts import ClaimPromoted, StepProven, WorkCredited
from protocol.duel import A, B, apply_descent, apply_reveal, get_expiry, is_proof_due, may_descend, open_duel
from protocol.history import History
from protocol.keccak import ZERO, encode_word
from protocol.params import DEVNET, MAINNET, Params
from protocol.tournament import (
    Bracket,
    Place,
    count_rounds,
    enter,
    find_rising,
    find_winner,
    get_place,
    get_start,
    leave,
    move_up,
)
from sim.arena import Party, Strategy, Villain, World
from sim.court import GAS_PRICE
from sim.villains.forgery import Forgery, make_forgeries


class Cold(NamedTuple):
    """Gas of first touches in one call: at most what the sender pays for them, at least what the contract's meter sees of that."""

    paid: int
    metered: int


HONEST, LIAR = 0xA11CE, 0xBAD
PLAYED, SIMULATED = (2, 16, 256), (2, 16, 256, 10_000, 1_000_000)
COLD = {  # measured against py-evm in tests/bench_/test_dispute.py
    "promote": Cold(18_800, 18_800),
    "descend": Cold(22_788, 13_046),
    "prove": Cold(48_612, 35_688),
    "timeout": Cold(35_200, 26_400),
    "reveal": Cold(15_600, 10_800),
    "claim": Cold(32_924, 23_300),
    "finalize": Cold(21_600, 21_600),
}
PRICE = 5 * 10**9  # wei a gas, for the float
STEPS = {"a step of 3M gas": 3_000_000, "the limit of a step, 10M": 10_000_000}
GAS = Path(__file__).parent.parent / "contracts" / "snapshots" / "gas.json"
RELATIONS = {"<": operator.lt, "<=": operator.le}


@dataclass
class Game:
    """One honest party against `count` Sybils."""

    count: int
    params: Params = DEVNET
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.world = World(params=self.params)
        self.court = self.world.court
        self.truth: History = self.world.truth
        forgeries = make_forgeries(self.truth, self.count, self.rng)
        half = (self.count + 1) // 2
        self.sybils = [self._enter(forgery) for forgery in forgeries[:half]]
        self.party = Party(self.world, HONEST)
        self._act()
        self.party.catch_up()
        self.sybils += [self._enter(forgery) for forgery in forgeries[half:]]
        self.by_id = {sybil.claim_id: sybil for sybil in self.sybils}
        position = self.court.get_position(self.court.genesis)
        self.close, self.rounds = position.close, position.rounds
        self.honest = next(claim.id for claim in self.party.state.board.claims.values() if claim.history == self.truth.root)

    def play(self) -> dict[str, Any]:
        """To the truth's finality; what it took."""
        params = self.params
        self.court.set_time(max(self.court.now, self.close))
        for round_ in range(self.rounds):
            start = self.close + round_ * params.tournament_round_s
            self.court.set_time(max(self.court.now, start))
            self._act()
            self._elect(round_)
            rivals = [item for item in self._get_group(round_) if item != self.honest]
            while rivals:
                moved = self._act() + sum(self.by_id[rival].answer(self.honest) for rival in rivals)
                rivals = [item for item in rivals if self.court.call("Claims", "is_alive", item)]
                if not moved:
                    self.court.advance(1)
        while not self.court.call("Claims", "is_final", self.honest):
            self.court.advance(1)
            self._act()
        return self._measure()

    # -- moves

    def _enter(self, forgery: Forgery) -> Villain:
        """It answers at its last second: all of its clock goes into the first move, then each time the grace."""
        claim_id: bytes = self.court.claim(LIAR, self.court.genesis, self.world.epoch, forgery).value
        return Villain(self.world, claim_id, forgery, Strategy.LAST_SECOND, who=LIAR)

    def _act(self) -> int:
        """All that the honest party wants now; how many transactions succeeded."""
        self.party.catch_up()
        return self.party.land()

    def _get_group(self, round_: int) -> Sequence[bytes]:
        self.party.catch_up()
        board = self.party.state.board
        position = board.positions[self.court.genesis]
        return position.bracket.get_group(get_place(round_, board.claims[self.honest].seed, self.params))

    def _elect(self, round_: int) -> None:
        """In each group without the honest claim one Sybil lets the clock kill the others; alone it moves up all the same."""
        self.party.catch_up()
        board, params = self.party.state.board, self.params
        bracket = board.positions[self.court.genesis].bracket
        mine = get_place(round_, board.claims[self.honest].seed, params)
        groups = [group for place, group in bracket.groups.items() if place[0] == round_ and place != mine]
        for leader, *others in groups:
            for other in others:
                self.court.move(LIAR, leader, self.by_id[leader].history, other, self.by_id[other].history)
        if not groups:
            return
        late = self.court.now + params.grace_s + params.censorship_s + 1
        while self.court.now < late:  # the honest party's own duels go on meanwhile
            moved = self._act() + sum(self.by_id[rival].answer(self.honest) for rival in self._get_group(round_) if rival != self.honest)
            if not moved:
                self.court.advance(1)
        for leader, *others in groups:
            for other in others:
                self.court.transact(LIAR, "Claims", "timeout", leader, other)
            if not others:
                self.court.transact(LIAR, "Claims", "promote", leader)

    # -- figures

    def _measure(self) -> dict[str, Any]:
        calls = self._measure_calls()
        gas, repaid = (sum(call[name] for call in calls.values()) for name in ("gas", "repaid"))
        events = [event for block in self.court.blocks for event in block.events]
        return {
            "sybils": self.count,
            "rounds": self.rounds,
            "honest_txs": sum(call["count"] for call in calls.values()),
            "honest_gas": gas,
            "repaid_gas": repaid,
            "net_gas": gas - repaid,
            "float_eth_at_5_gwei": compute_float(gas),
            "by_call": calls,
            "proofs": sum(isinstance(event, StepProven) for event in events),
            "promotions": sum(isinstance(event, ClaimPromoted) for event in events),
            "delay_s": self.court.now - (self.close - self.params.entry_s),
            "bound_s": self.params.entry_s + self.rounds * self.params.tournament_round_s,
        }

    def _measure_calls(self) -> dict[str, dict[str, int]]:
        """Of the honest party, by function: how many, what they cost, and what of it is owed back when the truth is final."""
        calls: dict[str, dict[str, int]] = defaultdict(lambda: {"count": 0, "gas": 0, "repaid": 0})
        for receipt in self.court.receipts:
            if receipt.sender != HONEST:
                continue
            name = receipt.function.partition(".")[2]
            credited = [event for event in self.court.blocks[receipt.block].events if isinstance(event, WorkCredited)]
            owed = [event.amount // GAS_PRICE for event in credited if (event.claim_id, event.worker) == (self.honest, HONEST)]
            if name == "finalize":  # it also owes for the claim, and there is no half on top of that
                calls["claim"]["repaid"] += owed.pop(0) + COLD["claim"].metered
            cold = COLD[name].metered * 3 // 2 if owed else 0
            calls[name]["count"] += 1
            calls[name]["gas"] += receipt.gas + COLD[name].paid
            calls[name]["repaid"] += sum(owed) + cold
        return dict(calls)


class Course(NamedTuple):
    """The honest claim's way through a tournament: groups and its own duels by round, seconds from the first claim to its win."""

    groups: list[int]
    duels: list[int]
    delay_s: int


def simulate(sybils: int, params: Params, seat: int = 0) -> Course:
    """All claims enter, every group sends somebody: the honest claim out of its own, a liar out of every other. RuntimeError if it does
    not win. In the first seat it stands in a full group wherever there is one."""
    bracket, honest = Bracket(close=params.entry_s), encode_word(seat)
    for seed in range(sybils + 1):
        bracket = enter(bracket, encode_word(seed), params)
    _, duel_s = simulate_duel(params)
    groups: list[int] = []
    duels: list[int] = []
    for round_ in range(count_rounds(bracket.count, params)):
        now, mine = get_start(bracket.close, round_, params), get_place(round_, seat, params)
        places = [place for place in bracket.groups if place[0] == round_]
        groups.append(len(places))
        duels.append(len(bracket.get_group(mine)) - 1)
        now += duel_s if duels[-1] else 0
        for place in places:
            bracket = decide(bracket, place, honest, now, params)
    if find_winner(bracket, now, params) != honest:
        raise RuntimeError("the honest claim has not won")
    return Course(groups, duels, now)


def decide(bracket: Bracket, place: Place, honest: bytes, now: int, params: Params) -> Bracket:
    """One group: all but one die, and that one moves up if there is a round above."""
    champion, *others = sorted(bracket.get_group(place), key=lambda claim: claim != honest)
    for other in others:
        bracket = leave(bracket, place, other)
    rising = find_rising(bracket, place, now, params)
    return bracket if rising is None else move_up(bracket, place, champion, params)


def simulate_duel(params: Params) -> tuple[list[int], int]:
    """The honest side moves at once, the liar at its last second: the rounds that the honest side completes, seconds to the proof."""
    duel, now, mine = open_duel(0), 0, []
    while not is_proof_due(duel, params):
        side = B if duel.revealed == A else A
        if side == B:
            now = get_expiry(duel, B, params)
        else:
            mine.append(duel.round)
        if not may_descend(duel, side, now, params):
            raise RuntimeError("a move within its time is refused")
        duel = apply_descent(duel, 0, ZERO, ZERO, now, params)
        if not is_proof_due(duel, params):
            duel = apply_reveal(duel, side, (), now, params)
    return mine, now


def count_duels(claims: int, params: Params) -> list[int]:
    """Of the honest claim in each round, if every group sends somebody, and it stands in a full one where there is one."""
    duels = []
    for _ in range(count_rounds(claims, params)):
        duels.append(min(claims, 1 << params.group_bits) - 1)
        claims = -(-claims >> params.group_bits)
    return duels


def compute_float(gas: int) -> float:
    """Ether that the honest party must lay out until the truth is final, its stake apart."""
    return round(gas * PRICE / 10**18, 3)


def compute_shares(game: Mapping[str, Any]) -> dict[str, float]:
    """What part of its cost a call is repaid, by function."""
    return {name: call["repaid"] / call["gas"] for name, call in game["by_call"].items()}


def price(course: Course, step: int, snapshot: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, Any]:
    """Of the honest party, mainnet's height, every step `step` gas. That rising costs more than a mere death is counted, not repaid."""
    mine, _ = simulate_duel(MAINNET)
    duels = sum(course.duels)
    gas = {
        "claim": snapshot["claim: a rival"],
        "descend": duels * sum(snapshot[f"descend {round_ + 1}"] for round_ in mine),
        "prove": duels * (snapshot["prove, without the step"] + step),
        "finalize": snapshot["finalize"],
    }
    spent = sum(gas.values()) + (len(course.duels) - 1) * snapshot["promote"]
    repaid = int(sum(used * shares[name] for name, used in gas.items()))
    return {"honest_gas": spent, "repaid_gas": repaid, "net_gas": spent - repaid, "float_eth_at_5_gwei": compute_float(spent)}


def simulate_row(sybils: int, snapshot: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, Any]:
    """On mainnet. RuntimeError if the model does not come to the duels that the formula counts."""
    course = simulate(sybils, MAINNET)
    if course.duels != count_duels(sybils + 1, MAINNET):
        raise RuntimeError(f"the model has other duels than the formula: {course.duels}")
    row = {"sybils": sybils, "rounds": len(course.duels), "groups": course.groups, "duels": sum(course.duels)}
    row |= {"duels_by_round": course.duels, "delay_s": course.delay_s}
    row["bound_s"] = MAINNET.entry_s + len(course.duels) * MAINNET.tournament_round_s
    return row | {name: price(course, step, snapshot, shares) for name, step in STEPS.items()}


def check_goals(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each with its figure and whether it is met. The largest simulation stands for any number of liars."""
    two, last = figures["two_parties"], figures["simulated"][-1]
    small, limit = STEPS
    nets = [row["net_gas"] for row in figures["played"]] + [row[name]["net_gas"] for row in figures["simulated"] for name in STEPS]
    goals = [
        ("transactions of two parties", two["txs"], "<=", 16),
        ("gas of two parties without the step", two["gas_without_the_step"], "<", 1_200_000),
        (f"rounds against {last['sybils']:,}", last["rounds"], "<=", 4),
        ("net gas of the honest party, the highest of all rows", max(nets), "<", 0),
        (f"ether laid out, {small}", last[small]["float_eth_at_5_gwei"], "<", 3),
        (f"ether laid out, {limit}", last[limit]["float_eth_at_5_gwei"], "<", 7),
        ("seconds to the truth's win, P + 4D", last["delay_s"], "<=", MAINNET.entry_s + 4 * MAINNET.tournament_round_s),
    ]
    return [
        {"goal": name, "figure": figure, "limit": f"{relation} {bound}", "met": RELATIONS[relation](figure, bound)}
        for name, figure, relation, bound in goals
    ]


def measure(gas: Path = GAS, played: Sequence[int] = PLAYED, simulated: Sequence[int] = SIMULATED) -> dict[str, Any]:
    """Everything. `gas` is the snapshot, the others are numbers of Sybils."""
    snapshot = json.loads(gas.read_text())
    games = [Game(count).play() for count in played]
    shares = compute_shares(games[-1])
    figures: dict[str, Any] = {
        "two_parties": {"txs": snapshot["dispute: transactions"], "gas_without_the_step": snapshot["dispute: gas without the step"]},
        "played": games,
        "simulated": [simulate_row(count, snapshot, shares) for count in simulated],
    }
    return figures | {"goals": check_goals(figures)}


def show(figures: Mapping[str, Any]) -> None:
    """For people."""
    console, two = Console(width=120), figures["two_parties"]
    console.print(f"two parties: {two['txs']} transactions, {two['gas_without_the_step']:,} gas without the step")
    heads = ["Sybils", "rounds", "transactions", "gas", "repaid", "net", "ETH", "delay", "bound"]
    table = Table(*heads, title="played on an EVM (devnet's times, ETH laid out at 5 gwei)")
    for game in figures["played"]:
        row = (game["sybils"], game["rounds"], game["honest_txs"], game["honest_gas"], game["repaid_gas"], game["net_gas"])
        values = (f"{value:,}" for value in row)
        table.add_row(*values, f"{game['float_eth_at_5_gwei']:.2f}", f"{game['delay_s']} s", f"{game['bound_s']} s")
    console.print(table)
    heads = ["Sybils", "rounds", "duels", *(f"{what}, {name}" for name in STEPS for what in ("ETH", "net gas")), "days", "bound"]
    table = Table(*heads, title="simulated (mainnet, ETH laid out at 5 gwei, stake apart)")
    for game in figures["simulated"]:
        costs = [text for name in STEPS for text in (f"{game[name]['float_eth_at_5_gwei']:.2f}", f"{game[name]['net_gas']:,}")]
        days = (f"{game[name] / 86_400:.1f}" for name in ("delay_s", "bound_s"))
        table.add_row(f"{game['sybils']:,}", str(game["rounds"]), str(game["duels"]), *costs, *days)
    console.print(table)
    table = Table("goal", "figure", "limit", "met")
    for goal in figures["goals"]:
        table.add_row(goal["goal"], f"{goal['figure']:,}", goal["limit"], "met" if goal["met"] else "MISSED")
    console.print(table)


def main(
    path: Path = Path(".out") / "dispute.json", gas: Path = GAS, played: Sequence[int] = PLAYED, simulated: Sequence[int] = SIMULATED
) -> int:
    """Measures, shows, writes. Returns 1 if a goal is missed."""
    figures = measure(gas, played, simulated)
    show(figures)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(goal["met"] for goal in figures["goals"]) else 1


if __name__ == "__main__":
    sys.exit(main())
