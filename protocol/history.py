"""History commitments: the Merkle root of every header of an epoch's run, padded by repeating the last.

A trace of an epoch may have hundreds of millions of leaves. What is kept is the roots of chunks of 2**16 leaves, and snapshots of the
machine between some; anything below is traced anew when a dispute asks for it. A snapshot holds the whole state, and a sequencer
can fill an epoch with junk for a few ether, so their number is bounded: the longer the run, the further apart they are.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator

from protocol.keccak import keccak
from protocol.params import Params
from protocol.trace import Applied, Machine
from protocol.types import Header
from protocol.witness import Witness, prove_step

CHUNK_HEIGHT = 16
REVEAL_HEIGHT = 4  # levels that one reveal of a duel goes down
REVEAL_NODES = 1 << REVEAL_HEIGHT
KEPT_CHUNKS = 8  # traced anew and kept in memory
MAX_SNAPSHOTS = 64
Watch = Callable[[Applied, Header], None]  # sees every step's outcome


def compute_root(nodes: list[bytes]) -> bytes:
    """Of a full subtree; the number of nodes is a power of two."""
    while len(nodes) > 1:
        nodes = [keccak(nodes[i] + nodes[i + 1]) for i in range(0, len(nodes), 2)]
    return nodes[0]


def _compute_pads(leaf: bytes, height: int) -> list[bytes]:
    """By height, the root of a subtree that holds nothing but `leaf`."""
    pads = [leaf]
    for _ in range(height):
        pads.append(keccak(pads[-1] + pads[-1]))
    return pads


def _compute_levels(leaves: list[bytes], pads: list[bytes], base: int, height: int) -> list[list[bytes]]:
    """Levels of a subtree whose bottom lies `base` above the leaves; each level only as long as it is not padding."""
    levels = [leaves]
    for up in range(base, base + height):
        level = levels[-1]
        if len(level) & 1:
            level = [*level, pads[up]]
        levels.append([keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)])
    return levels


def get_chunk_height(params: Params) -> int:
    """Levels of a chunk; a small history is one chunk."""
    return min(CHUNK_HEIGHT, params.history_height)


def trace_chunk(machine: Machine, watch: Watch | None = None) -> list[bytes]:
    """The leaves from where `machine` is to the end of its chunk, and it then is at the next one's start; or to its halt's leaf."""
    mask = (1 << get_chunk_height(machine.rules.params)) - 1
    leaves = []
    while True:
        leaves.append(machine.get_leaf())
        if machine.is_halted:
            return leaves
        applied = machine.step()
        if watch is not None:
            watch(applied, machine.header)
        if not machine.count & mask:
            return leaves


def trace_chunks(machine: Machine, watch: Watch | None = None) -> Iterator[list[bytes]]:
    """The leaves of each chunk, from the start of one to the halt: the last chunk has as many as there are."""
    while True:
        first = machine.count
        leaves = trace_chunk(machine, watch)
        yield leaves
        if first + len(leaves) > machine.count:  # the halt's leaf is the last one
            return


def compute_chunk_root(leaves: list[bytes], height: int) -> bytes:
    """Of a chunk that the run fills, or that it ends in."""
    if len(leaves) == 1 << height:
        return compute_root(leaves)
    return _compute_levels(leaves, _compute_pads(leaves[-1], height), 0, height)[-1][0]


class Snapshots:
    """Machines to trace anew from, in the order of their steps: at most so many, and the longer the run, the further apart."""

    def __init__(self, machine: Machine) -> None:
        self._kept = [machine.copy()]
        self._spacing = 1 << get_chunk_height(machine.rules.params)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, machine: Machine) -> None:
        """A copy, if one is due; with too many, every second goes."""
        if machine.count < self._kept[-1].count + self._spacing:
            return
        self._kept.append(machine.copy())
        if len(self._kept) > MAX_SNAPSHOTS:
            self._spacing <<= 1
            self._kept = self._kept[::2]

    def get(self, step: int) -> Machine:
        """A machine of its own, at or before `step`."""
        return self._kept[bisect_right(self._kept, step, key=lambda machine: machine.count) - 1].copy()


class Commitment(ABC):
    """A tree of `2**height` leaves with all that a duel asks of whoever made it, by its nodes."""

    height: int
    post_root: bytes  # of the state that it leads to

    @abstractmethod
    def get_node(self, height: int, index: int) -> bytes:
        """The node `height` levels above the leaves."""

    @property
    def root(self) -> bytes:
        """The history commitment."""
        return self.get_node(self.height, 0)

    def get_leaf(self, index: int) -> bytes:
        """The header's leaf after `index` steps."""
        return self.get_node(0, index)

    def get_reveal(self, height: int, index: int) -> list[bytes]:
        """The 16 nodes four levels below the node at `height`."""
        below = height - REVEAL_HEIGHT
        return [self.get_node(below, (index << REVEAL_HEIGHT) + i) for i in range(REVEAL_NODES)]

    def prove_leaf(self, index: int) -> list[bytes]:
        """Siblings up to the commitment, bottom first."""
        return [self.get_node(height, index >> height ^ 1) for height in range(self.height)]


class History(Commitment):
    """The commitment to one epoch's run, with all that a duel asks of whoever made it."""

    def __init__(self, machine: Machine, on_step: Watch | None = None) -> None:
        """Runs `machine` to its halt; `on_step` sees every step's outcome."""
        snapshots, roots, leaves = Snapshots(machine), [], []
        for leaves in trace_chunks(machine, on_step):
            roots.append(compute_chunk_root(leaves, get_chunk_height(machine.rules.params)))
            snapshots.keep(machine)
        self._commit(machine, snapshots, roots)
        self._chunks[len(roots) - 1] = _compute_levels(leaves, self._pads, 0, self._chunk_height)

    @classmethod
    def join(cls, machine: Machine, snapshots: Snapshots, roots: list[bytes]) -> "History":
        """Of a run whose chunks others have traced (`protocol.segments`); `machine` is halted."""
        history = cls.__new__(cls)
        history._commit(machine, snapshots, roots)
        return history

    def _commit(self, machine: Machine, snapshots: Snapshots, roots: list[bytes]) -> None:
        self.machine = machine
        self.post_root = machine.header.state
        self.steps = machine.count
        self.height = machine.rules.params.history_height
        if self.steps >= 1 << self.height:
            raise ValueError(f"{self.steps} steps do not fit a history of height {self.height}")
        self._chunk_height = get_chunk_height(machine.rules.params)
        self._snapshots = snapshots
        self._chunks: dict[int, list[list[bytes]]] = {}
        self._pads = _compute_pads(machine.get_leaf(), self.height)
        self._upper = _compute_levels(roots, self._pads, self._chunk_height, self.height - self._chunk_height)

    def get_node(self, height: int, index: int) -> bytes:
        """The node `height` levels above the leaves."""
        if height >= self._chunk_height:
            level = self._upper[height - self._chunk_height]
            return level[index] if index < len(level) else self._pads[height]
        shift = self._chunk_height - height
        chunk = index >> shift
        if chunk > self.steps >> self._chunk_height:
            return self._pads[height]
        level = self._get_chunk(chunk)[height]
        index &= (1 << shift) - 1
        return level[index] if index < len(level) else self._pads[height]

    def get_machine(self, step: int) -> Machine:
        """A machine of its own, after `step` steps."""
        step = min(step, self.steps)
        machine = self._snapshots.get(step)
        while machine.count < step:
            machine.step()
        return machine

    def prove_step(self, step: int) -> Witness:
        """The witness of the step that leads from leaf `step - 1` to leaf `step`. Always by the honest steps, whatever traced this."""
        machine = self.get_machine(step - 1)
        return prove_step(machine.header, machine.state, machine.preimages, machine.rules)

    def _get_chunk(self, chunk: int) -> list[list[bytes]]:
        found = self._chunks.get(chunk)
        if found is None:
            leaves = trace_chunk(self.get_machine(chunk << self._chunk_height))
            found = _compute_levels(leaves, self._pads, 0, self._chunk_height)
            while len(self._chunks) >= KEPT_CHUNKS:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[chunk] = found
        return found
