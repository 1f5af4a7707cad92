"""History commitments: what a duel asks of them holds together."""

import pytest

import protocol.history
from protocol.history import REVEAL_HEIGHT, History, compute_root
from protocol.merkle import compute_root_from_path
from protocol.params import DEVNET, MINIMAL, Params
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Header, compute_header_leaf
from sim.baits import make_epoch


def make_history(params: Params) -> History:
    scribe, batches = make_epoch(params)
    return History(Machine(State(params), batches, scribe.rules))


@pytest.mark.parametrize("params", [MINIMAL, DEVNET])
def test_root__leaves_and_reveals__prove_into_it(params: Params) -> None:
    history = make_history(params)
    last = (1 << params.history_height) - 1
    for index in (0, 1, 7, history.steps - 1, history.steps, history.steps + 1, last):
        assert compute_root_from_path(history.get_leaf(index), index, history.prove_leaf(index)) == history.root
    for height in range(params.history_height, 0, -REVEAL_HEIGHT):
        assert compute_root(history.get_reveal(height, 0)) == history.get_node(height, 0)


def test_padding__halted_machine__steps_to_itself() -> None:
    history = make_history(DEVNET)
    header = history.machine.header
    assert header.is_halted
    assert header == Header(header.state, header.inbox, header.batches, header.batches)
    assert history.get_leaf((1 << 28) - 1) == compute_header_leaf(header) == history.get_leaf(history.steps)
    assert history.get_leaf(history.steps - 1) != history.get_leaf(history.steps)


def test_chunks__traced_anew__same_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With chunks of four leaves nothing but the upper nodes is kept, and everything below comes from snapshots."""
    whole = make_history(MINIMAL)
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 2)
    monkeypatch.setattr(protocol.history, "KEPT_CHUNKS", 1)
    chunked = make_history(MINIMAL)
    assert chunked.root == whole.root
    for height in range(MINIMAL.history_height + 1):
        for index in range(min(1 << (MINIMAL.history_height - height), whole.steps + 3)):
            assert chunked.get_node(height, index) == whole.get_node(height, index), (height, index)


def test_prove_step__every_step__leads_to_the_next_leaf() -> None:
    history = make_history(MINIMAL)
    for step in range(1, history.steps + 1):
        assert compute_header_leaf(history.prove_step(step).after) == history.get_leaf(step)
