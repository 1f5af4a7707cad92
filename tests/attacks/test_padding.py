"""A lie behind the halt: the run is right to its last step, and the padding behind it is not."""

import pytest

from contracts import load_artifact
from protocol.history import History
from protocol.keccak import keccak
from protocol.params import MINIMAL
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Header, compute_header_leaf, encode_header
from sim.baits import START, make_epoch
from sim.court import Court
from sim.villains.forgery import Forgery

HONEST, VILLAIN = 0xA11CE, 0xBAD


@pytest.mark.parametrize("behind", [1, 2, 5_000])
def test_attack_7__lie_behind_the_halt__halted_machine_steps_to_itself(behind: int) -> None:
    court = Court(MINIMAL, load_artifact, START)
    _, batches = make_epoch(MINIMAL, domain=court.domain)
    epoch = court.post_epoch(batches)
    truth = History(Machine(State(MINIMAL), batches, court.rules))
    end = truth.machine.header
    stolen = Header(keccak(b"loot"), end.inbox, end.batches, end.batch)
    at = truth.steps + behind
    lie = Forgery(truth, stolen.state, {at: compute_header_leaf(stolen)})
    right: bytes = court.claim(HONEST, court.genesis, epoch, truth).value
    wrong: bytes = court.claim(VILLAIN, court.genesis, epoch, lie).value
    for round_ in range(MINIMAL.rounds):
        if round_ % 2:
            court.move(HONEST, right, truth, wrong, lie)
        else:
            court.move(VILLAIN, wrong, lie, right, truth)
    assert court.call("Claims", "get_duel", right, wrong)[1] == at

    witness = truth.prove_step(at)
    assert witness.after == end
    assert witness.arguments[:512] == encode_header(end)
    court.prove(HONEST, right, truth, wrong, lie)
    assert court.call("Claims", "is_alive", right)
    assert not court.call("Claims", "is_alive", wrong)
