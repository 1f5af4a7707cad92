"""A lie behind the halt: the run is right to its last step, and the padding behind it is not."""

from collections.abc import Sequence

import pytest

from contracts import load_artifact
from protocol.history import REVEAL_HEIGHT, REVEAL_NODES, History, compute_root
from protocol.keccak import keccak
from protocol.params import MINIMAL
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Header, compute_header_leaf, encode_header
from sim.baits import START, make_epoch
from sim.court import Court

HONEST, VILLAIN = 0xA11CE, 0xBAD


class Commitment:
    """The tree over all leaves as they are given; heights are small here."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.levels = [list(leaves)]
        while len(self.levels[-1]) > 1:
            level = self.levels[-1]
            self.levels.append([keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)])

    def get_reveal(self, height: int, index: int) -> list[bytes]:
        at = index << REVEAL_HEIGHT
        return self.levels[height - REVEAL_HEIGHT][at : at + REVEAL_NODES]

    def prove_leaf(self, index: int) -> list[bytes]:
        return [level[index >> height ^ 1] for height, level in enumerate(self.levels[:-1])]


@pytest.mark.parametrize("behind", [1, 2, 5_000])
def test_attack_7__lie_behind_the_halt__halted_machine_steps_to_itself(behind: int) -> None:
    court = Court(MINIMAL, load_artifact, START)
    _, batches = make_epoch(MINIMAL, domain=court.domain)
    epoch = court.post_epoch(batches)
    truth = History(Machine(State(MINIMAL), batches, court.rules))
    end = truth.machine.header
    stolen = Header(keccak(b"loot"), end.inbox, end.batches, end.batch)
    size, at = 1 << MINIMAL.history_height, truth.steps + behind
    lie = Commitment([*map(truth.get_leaf, range(at)), *[compute_header_leaf(stolen)] * (size - at)])
    right: bytes = court.claim(HONEST, court.genesis, epoch, truth).value
    root = compute_root(lie.get_reveal(MINIMAL.history_height, 0))
    siblings, nodes = lie.prove_leaf(size - 1), lie.get_reveal(MINIMAL.history_height, 0)
    value = MINIMAL.stake_wei
    entered = court.transact(VILLAIN, "Claims", "claim", court.genesis, epoch, stolen.state, root, nodes, siblings, bytes(32), value=value)
    wrong: bytes = entered.value
    for _ in range(MINIMAL.rounds):
        round_, index = court.call("Claims", "get_duel", right, wrong)[:2]
        height = MINIMAL.history_height - REVEAL_HEIGHT * round_
        ours, theirs = truth.get_reveal(height, index), lie.get_reveal(height, index)
        if round_:
            court.transact(HONEST, "Claims", "move", right, wrong, [], [], ours)
            court.transact(VILLAIN, "Claims", "move", wrong, right, theirs, ours, [])
        else:
            court.transact(VILLAIN, "Claims", "move", wrong, right, theirs, ours, [])
    assert court.call("Claims", "get_duel", right, wrong)[1] == at

    witness = truth.prove_step(at)
    assert witness.after == end
    assert witness.arguments[:512] == encode_header(end)
    court.prove(HONEST, right, truth, wrong)
    assert court.call("Claims", "is_alive", right)
    assert not court.call("Claims", "is_alive", wrong)
