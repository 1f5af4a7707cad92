"""Duels and tournaments as the challenger's board knows them and as the contract has them, on the same moves at the same times."""

import random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from challenger.board import Board, Status, apply_block, create_board
from contracts import load_artifact
from protocol.duel import A, B, compute_deaths, is_out, is_proof_due, may_descend, may_reveal, open_duel
from protocol.history import Commitment, History
from protocol.keccak import ZERO, keccak
from protocol.params import MINIMAL
from protocol.state import State
from protocol.tournament import count_rounds, find_rising, find_winner, get_start, is_left_behind, is_stuck
from protocol.trace import Machine
from sim.baits import START, make_epoch
from sim.court import Court
from sim.evm import Reverted
from sim.villains.forgery import make_forgeries
from sim.villains.lies import LIES

LIE = LIES["overpaid-withdrawal"]


class Twin:
    """A tournament on L1 and the board that its events make; `check` compares all that both know of it. Claim 0 is right."""

    def __init__(self, count: int) -> None:
        self.court = Court(MINIMAL, load_artifact, START)
        scribe, batches = make_epoch(MINIMAL, LIE.bait, self.court.domain)
        epoch = self.court.post_epoch(batches)
        self.truth = History(Machine(State(MINIMAL), batches, scribe.rules))
        lie = History(Machine(State(MINIMAL), batches, scribe.rules, LIE.steps))
        self.histories: list[Commitment] = [self.truth, lie, *make_forgeries(self.truth, count - 2, random.Random(count))]
        self.ids = [self.court.claim(who, self.court.genesis, epoch, history).value for who, history in enumerate(self.histories, 1)]
        self.board: Board = create_board(MINIMAL, State(MINIMAL).get_root())
        self.seen = 0
        self.check()

    @property
    def now(self) -> int:
        return self.court.now

    def check(self) -> None:
        for block in self.court.blocks[self.seen :]:
            self.board = apply_block(self.board, block.header, block.events)
        self.seen = len(self.court.blocks)
        position, view = self.board.get_position(self.court.genesis), self.court.get_position(self.court.genesis)
        if position is None:
            assert (view.count, view.winner) == (0, ZERO)
            assert self.board.current[self.court.genesis] == view.position
        else:
            bracket = position.bracket
            assert (position.id, position.close, bracket.count) == (view.position, view.close, view.count)
            assert count_rounds(bracket.count, MINIMAL) == view.rounds
            assert (find_winner(bracket, self.now, MINIMAL) or ZERO) == view.winner
        for claim_id in self.ids:
            self.check_claim(claim_id)

    def check_claim(self, claim_id: bytes) -> None:
        claim = self.board.claims[claim_id]
        position_id, parent, epoch, post_root, claimant, seed, round_, is_alive, is_final = self.court.call("Claims", "get_claim", claim_id)
        assert (claim.position, claim.parent, claim.epoch, claim.post_root) == (position_id, parent, epoch, post_root)
        assert (claim.claimant, claim.seed, claim.round) == (int(claimant, 16), seed, round_)
        bracket = self.board.positions[claim.position].bracket
        left = is_left_behind(bracket, claim.round, claim_id, self.now, MINIMAL)
        assert (claim.status == Status.FINAL, claim.status != Status.DEAD and not left) == (is_final, is_alive)
        for other in self.ids:
            rival = self.board.claims[other]
            if other != claim_id and Status.DEAD not in (claim.status, rival.status) and self.is_one_group(claim_id, other):
                self.check_duel(claim_id, other)

    def is_one_group(self, a: bytes, b: bytes) -> bool:
        return self.board.get_place(self.board.claims[a]) == self.board.get_place(self.board.claims[b])

    def check_duel(self, a: bytes, b: bytes) -> None:
        duel = self.board.get_duel(a, b)
        round_, index, since, left_a, left_b, revealed, pair, is_out_a, is_out_b = self.court.call("Claims", "get_duel", a, b)
        used = MINIMAL.censorship_s - duel.used_a, MINIMAL.censorship_s - duel.used_b
        assert (duel.round, duel.index, duel.since, duel.revealed) == (round_, index, since, revealed)
        assert used == (left_a, left_b)
        nodes = duel.node_a + duel.node_b if a < b else duel.node_b + duel.node_a
        assert (keccak(nodes) if duel.round else ZERO) == pair
        assert (is_out(duel, A, self.now, MINIMAL), is_out(duel, B, self.now, MINIMAL)) == (is_out_a, is_out_b)

    # ---- what may be done, by the board, and what is

    def is_due(self, kind: str, a: int, b: int) -> bool:
        """Whether the contract should take it."""
        claim = self.board.claims[self.ids[a]]
        position = self.board.get_position(self.court.genesis)
        if kind == "reopen":
            return position is not None and is_stuck(position.bracket, self.now, MINIMAL)
        if kind == "promote":
            bracket = self.board.positions[claim.position].bracket
            return find_rising(bracket, self.board.get_place(claim), self.now, MINIMAL) == claim.id
        rival = self.board.claims[self.ids[b]]
        if Status.PENDING != claim.status or Status.PENDING != rival.status or a == b or not self.is_one_group(claim.id, rival.id):
            return False
        duel = self.board.get_duel(claim.id, rival.id)
        if self.now >= get_start(self.board.positions[claim.position].close, claim.round + 1, MINIMAL):
            return False
        outs = any(is_out(duel, side, self.now, MINIMAL) for side in (A, B))
        if kind == "timeout":
            return outs
        if kind == "prove":
            return outs or is_proof_due(duel, MINIMAL)
        if duel.round == 0:  # the move answers and reveals
            return not is_out(duel, A, self.now, MINIMAL)
        return may_reveal(duel, A, self.now, MINIMAL) or may_descend(duel, A, self.now, MINIMAL)

    def act(self, kind: str, a: int, b: int) -> bool:
        """Whether the contract took it."""
        mine, other = self.ids[a], self.ids[b]
        ours, theirs = self.histories[a], self.histories[b]
        try:
            match kind:
                case "promote":
                    self.court.transact(a + 1, "Claims", "promote", mine)
                case "reopen":
                    self.court.transact(a + 1, "Claims", "reopen", self.court.genesis)
                case "timeout":
                    self.court.transact(a + 1, "Claims", "timeout", mine, other)
                case "prove":
                    self.prove(a, b)
                case _:
                    self.court.move(a + 1, mine, ours, other, theirs)
        except Reverted:
            return False
        return True

    def prove(self, a: int, b: int) -> None:
        """By the right step, whoever proves it; before the last round there is nothing to prove, and only a clock can decide."""
        mine, other = self.ids[a], self.ids[b]
        round_, index = self.court.call("Claims", "get_duel", mine, other)[:2]
        if round_ < MINIMAL.rounds or index == 0:
            leaves = self.histories[a].get_leaf(index), self.histories[b].get_leaf(index)
            self.court.transact(a + 1, "Claims", "prove", mine, other, *leaves, b"", [])
            return
        leaves = self.histories[a].get_leaf(index), self.histories[b].get_leaf(index)
        arguments = self.truth.prove_step(index).arguments
        self.court.transact(a + 1, "Claims", "prove", mine, other, *leaves, arguments, self.histories[a].prove_leaf(index - 1))


WAIT = st.sampled_from([0, 0, 0, 1, 19, 20, 21, 30, 45, 119, 120, 121, 140, 141, 360])
KIND = st.sampled_from(["move", "move", "move", "prove", "timeout", "promote", "reopen"])
TURN = st.tuples(KIND, st.integers(0, 6), st.integers(0, 6), WAIT)


def play(twin: Twin, turns: list[tuple[str, int, int, int]]) -> list[tuple[bool, bool]]:
    """Whether each was taken, and whether it was due; as far as both agree."""
    taken, count = [], len(twin.ids)
    for kind, a, b, wait in turns:
        twin.court.advance(wait)
        twin.check()
        due = twin.is_due(kind, a % count, b % count)
        taken.append((twin.act(kind, a % count, b % count), due))
        if taken[-1] != (due, due):
            break
        twin.check()
    return taken


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example([("move", 0, 1, 0), ("move", 1, 0, 1), ("move", 0, 1, 1), ("move", 1, 0, 21), ("prove", 0, 1, 21)])
@example([("move", 0, 1, 0), ("move", 1, 0, 1), ("move", 0, 1, 1), ("move", 1, 0, 141), ("timeout", 0, 1, 21)])
@given(st.lists(TURN, min_size=1, max_size=12))
def test_board__any_moves_at_any_times__is_what_the_contract_says(turns: list[tuple[str, int, int, int]]) -> None:
    assert all(took == due for took, due in play(Twin(2), turns))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(3, 7), st.lists(TURN, min_size=10, max_size=30))
def test_board__any_tournament__is_what_the_contract_says(count: int, turns: list[tuple[str, int, int, int]]) -> None:
    """Groups of four: up to two rounds."""
    assert all(took == due for took, due in play(Twin(count), turns))


def test_board__a_whole_tournament__two_rounds_and_a_winner() -> None:
    twin = Twin(5)
    fights = [(kind, 0, rival, 0) for rival in (1, 2, 3) for kind in ("move",)]
    start = twin.board.positions[twin.court.genesis].close - twin.now
    turns = [("promote", 4, 0, start), *fights, *(("timeout", 0, rival, 141 if rival == 1 else 0) for rival in (1, 2, 3))]
    assert play(twin, turns) == [(True, True)] * len(turns)
    assert [twin.board.claims[claim_id].round for claim_id in twin.ids] == [1, 0, 0, 0, 1]
    later = get_start(twin.board.positions[twin.court.genesis].close, 1, MINIMAL) - twin.now
    assert play(twin, [("move", 0, 4, later), ("timeout", 0, 4, 141)]) == [(True, True)] * 2
    assert twin.court.get_position(twin.court.genesis).winner == twin.ids[0]


def test_deaths__neither_is_right__both_die() -> None:
    duel = open_duel(0)
    assert compute_deaths(duel, keccak(b"right"), 0, MINIMAL) == (True, True)
    assert compute_deaths(duel, ZERO, 0, MINIMAL) == (False, False)
