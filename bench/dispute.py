"""`make dispute-cost`: what the truth costs against any number of liars. Writes `.out/dispute.json`.

Up to 256 Sybils are played for real: the challenger's own machine against the real contracts on an EVM, at mainnet's height of history
and size of groups. Every Sybil is different, and answers every move at its last second; in groups without the honest claim the liars let
one of them win, so that the honest claim meets as many as it can. Larger numbers are counted by the rounds of the tournament, with the gas
that those games measured.

The EVM in this process leaves out what a slot's first touch in a transaction costs; `COLD` adds it back, generously. Two parties' gas is
py-evm's, from the committed snapshot.
"""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from l1.contracts import ClaimPromoted, StepProven, WorkCredited
from protocol.history import History
from protocol.params import DEVNET, MAINNET, Params
from protocol.tournament import count_rounds, get_place
from sim.arena import Party, Strategy, Villain, World
from sim.villains.forgery import Forgery, make_forgeries

HONEST, LIAR = 0xA11CE, 0xBAD
PLAYED, COUNTED = (2, 16, 256), (10_000, 1_000_000)
COLD = {"claim": 25_000, "reveal": 15_000, "descend": 17_000, "prove": 32_000, "timeout": 22_000, "promote": 15_000, "finalize": 20_000}
GWEI = 10**9
PRICE = 5 * GWEI  # of gas, for the float
STEPS = {"a step of 3M gas": 3_000_000, "the worst step, 10M": 10_000_000}
GAS = Path(__file__).parent.parent / "contracts" / "snapshots" / "gas.json"


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
        """In each group without the honest claim one Sybil lets the clock kill the others."""
        self.party.catch_up()
        board, params = self.party.state.board, self.params
        bracket = board.positions[self.court.genesis].bracket
        mine = get_place(round_, board.claims[self.honest].seed, params)
        groups = [group for place, group in bracket.groups.items() if place[0] == round_ and place != mine and len(group) > 1]
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

    # -- figures

    def _measure(self) -> dict[str, Any]:
        receipts = [item for item in self.court.receipts if item.sender == HONEST]
        calls = Counter(item.function.partition(".")[2] for item in receipts)
        cold = sum(COLD[name] * number for name, number in calls.items())
        gas = sum(item.gas for item in receipts) + cold
        events = [event for block in self.court.blocks for event in block.events]
        owed = sum(
            event.amount for event in events if isinstance(event, WorkCredited) and event.worker == HONEST and event.claim_id == self.honest
        )
        repaid = owed // GWEI + (cold - COLD["claim"]) * 5 // 4  # the meter sees them too
        opened = self.close - self.params.entry_s
        return {
            "sybils": self.count,
            "rounds": self.rounds,
            "honest_txs": len(receipts),
            "honest_gas": gas,
            "by_call": dict(calls),
            "moves_gas": sum(item.gas + COLD["descend"] for item in receipts if item.function in {"Claims.descend", "Claims.reveal"}),
            "proofs": sum(isinstance(event, StepProven) for event in events),
            "promotions": sum(isinstance(event, ClaimPromoted) for event in events),
            "repaid_gas": repaid,
            "net_gas": gas - repaid,
            "delay_s": self.court.now - opened,
            "bound_s": self.params.entry_s + self.rounds * self.params.tournament_round_s,
        }


def count_duels(claims: int, params: Params) -> list[int]:
    """Of the honest claim in each round, if every group sends somebody, and it stands in a full one where there is one."""
    duels = []
    for _ in range(count_rounds(claims, params)):
        duels.append(min(claims, 1 << params.group_bits) - 1)
        claims = -(-claims >> params.group_bits)
    return duels


def count_game(sybils: int, duel_gas: int, fixed_gas: int) -> dict[str, Any]:
    """Gas of the honest party, and the ether that it must lay out until the truth is final. `duel_gas` is without the step."""
    duels = count_duels(sybils + 1, MAINNET)
    found: dict[str, Any] = {"sybils": sybils, "rounds": len(duels), "duels": sum(duels)}
    for name, step in STEPS.items():
        gas = fixed_gas + sum(duels) * (duel_gas + step)
        found[name] = {"honest_gas": gas, "float_eth_at_5_gwei": round(gas * PRICE / 10**18, 3)}
    found["delay_days"] = (MAINNET.entry_s + len(duels) * MAINNET.tournament_round_s) / 86_400
    return found


def measure() -> dict[str, Any]:
    """Everything."""
    snapshot = json.loads(GAS.read_text())
    games = [Game(count).play() for count in PLAYED]
    largest = games[-1]
    duels = sum(count_duels(largest["sybils"] + 1, DEVNET))
    moves = largest["moves_gas"] // duels
    duel_gas = moves + snapshot["prove, without the step"]
    fixed = snapshot["claim: a rival"] + snapshot["finalize"]
    two = {"txs": snapshot["dispute: transactions"], "gas_without_the_step": snapshot["dispute: gas without the step"]}
    counted = [count_game(count, duel_gas, fixed) for count in (*PLAYED, *COUNTED)]
    return {"two_parties": two, "duel_gas_without_the_step": duel_gas, "played": games, "counted": counted}


def show(figures: dict[str, Any]) -> None:
    """For people."""
    console, two = Console(width=100), figures["two_parties"]
    console.print(f"two parties: {two['txs']} transactions, {two['gas_without_the_step']:,} gas without the step")
    table = Table("Sybils", "rounds", "transactions", "gas", "repaid", "net", "delay", "bound", title="played on an EVM (devnet's times)")
    for game in figures["played"]:
        row = (game["sybils"], game["rounds"], game["honest_txs"], game["honest_gas"], game["repaid_gas"], game["net_gas"])
        table.add_row(*(f"{value:,}" for value in row), f"{game['delay_s']} s", f"{game['bound_s']} s")
    console.print(table)
    table = Table(
        "Sybils", "rounds", "duels", *(f"ETH laid out, {name}" for name in STEPS), "days", title="counted (mainnet, 5 gwei, stake apart)"
    )
    for game in figures["counted"]:
        floats = (f"{game[name]['float_eth_at_5_gwei']:.2f}" for name in STEPS)
        table.add_row(f"{game['sybils']:,}", str(game["rounds"]), str(game["duels"]), *floats, f"{game['delay_days']:.1f}")
    console.print(table)


def main() -> None:
    """Measures, shows, writes."""
    figures = measure()
    show(figures)
    path = Path(".out") / "dispute.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
