"""The duel's arithmetic in Python and the contract's, on the same moves at the same times."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from challenger.board import Board, apply_block, create_board
from contracts import load_artifact
from protocol.duel import A, B, Duel, compute_deaths, get_deadline, is_out, open_duel
from protocol.history import History
from protocol.keccak import ZERO, compute_list_hash, keccak
from protocol.params import MINIMAL
from protocol.state import State
from protocol.trace import Machine
from sim.baits import START, make_epoch
from sim.court import Court
from sim.evm import Reverted
from sim.villains.lies import LIES

LIE = LIES["overpaid-withdrawal"]


def hold(duel: Duel, side: int) -> bytes:
    """What L1 keeps of a side: its disputed node, or the hash of its reveal once it has made it."""
    if duel.round and duel.revealed == side:
        return compute_list_hash(list(duel.nodes))
    return duel.node_a if side == A else duel.node_b


class Twin:
    """A duel on L1 and the board that its events make; `check` compares all that both know of it."""

    def __init__(self) -> None:
        self.court = Court(MINIMAL, load_artifact, START)
        scribe, batches = make_epoch(MINIMAL, LIE.bait, self.court.domain)
        epoch = self.court.post_epoch(batches)
        self.histories = [
            History(Machine(State(MINIMAL), batches, scribe.rules)),
            History(Machine(State(MINIMAL), batches, scribe.rules, LIE.steps)),
        ]
        self.ids = [self.court.claim(who, self.court.genesis, epoch, history).value for who, history in enumerate(self.histories, 1)]
        self.board: Board = create_board(MINIMAL, State(MINIMAL).get_root())
        self.seen = 0

    def check(self) -> None:
        for block in self.court.blocks[self.seen :]:
            self.board = apply_block(self.board, block.header, block.events)
        self.seen = len(self.court.blocks)
        court, now = self.court, self.court.now
        for a, b in (self.ids, self.ids[::-1]):
            duel = self.board.get_duel(a, b)
            round_, index, since, left_a, left_b, revealed, node_a, node_b, is_out_a, is_out_b = court.call("Claims", "get_duel", a, b)
            used = MINIMAL.censorship_s - duel.used_a, MINIMAL.censorship_s - duel.used_b
            assert (duel.round, duel.index, duel.since, duel.revealed) == (round_, index, since, revealed)
            assert used == (left_a, left_b)
            assert (hold(duel, A), hold(duel, B)) == (node_a, node_b)
            assert (is_out(duel, A, now, MINIMAL), is_out(duel, B, now, MINIMAL)) == (is_out_a, is_out_b)
        position = self.board.get_position(court.genesis)
        assert position is not None
        view = court.get_position(court.genesis)
        assert (position.id, position.close, len(position.claims), len(position.alive)) == (
            view.position,
            view.close,
            view.count,
            view.alive,
        )
        assert get_deadline(position.close, MINIMAL) == view.deadline

    def act(self, side: int) -> bool:
        """The side's best move, or its proof, or the timeout of the other; whether the contract took it."""
        mine, other = self.ids[side], self.ids[1 - side]
        try:
            if self.court.call("Claims", "get_duel", mine, other)[0] < MINIMAL.rounds:
                self.court.move(side + 1, mine, self.histories[side], other, self.histories[1 - side])
            else:
                self.court.prove(side + 1, mine, self.histories[side], other)
        except Reverted:
            return False
        return True


TURN = st.tuples(st.integers(0, 1), st.sampled_from([0, 1, 19, 20, 21, 30, 45, 119, 120, 121, 140, 141]))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@example([(0, 0), (1, 1), (0, 1), (1, 21), (0, 21), (1, 140), (0, 0)])
@given(st.lists(TURN, min_size=1, max_size=12))
def test_board__any_moves_at_any_times__is_what_the_contract_says(turns: list[tuple[int, int]]) -> None:
    twin = Twin()
    twin.check()
    for side, wait in turns:
        twin.court.advance(wait)
        twin.check()
        duel = twin.board.get_duel(twin.ids[side], twin.ids[1 - side])
        may = twin.court.now < get_deadline(twin.board.positions[twin.court.genesis].close, MINIMAL)
        outs = compute_deaths(duel, ZERO, twin.court.now, MINIMAL)
        is_proof = duel.round == MINIMAL.rounds
        took = twin.act(side)
        # a proof is taken even when somebody is out: the clock decides then
        expected = may and (is_proof or (not outs[0] and duel.revealed != A))
        assert took == expected
        if is_proof and took:
            right = twin.histories[0].get_leaf(duel.index)
            alive = tuple(not dead for dead in compute_deaths(duel, right, twin.court.now, MINIMAL))
            found = tuple(twin.court.call("Claims", "is_alive", twin.ids[at]) for at in (side, 1 - side))
            assert found == alive
            return
        twin.check()


def test_deaths__neither_is_right__both_die() -> None:
    duel = open_duel(0)
    assert compute_deaths(duel, keccak(b"right"), 0, MINIMAL) == (True, True)
    assert compute_deaths(duel, ZERO, 0, MINIMAL) == (False, False)
