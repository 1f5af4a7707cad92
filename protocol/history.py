"""History commitments: the Merkle root of every header of an epoch's run, padded by repeating the last.

A trace of an epoch may have hundreds of millions of leaves. What is kept is the roots of chunks of 2**16 leaves, and snapshots of the
machine at the start of some; anything below is traced anew when a dispute asks for it. A snapshot holds the whole state, and a sequencer
can fill an epoch with junk for a few ether, so their number is bounded: the longer the run, the further apart they are.
"""

from collections.abc import Callable

from protocol.keccak import keccak
from protocol.trace import Applied, Machine
from protocol.types import Header
from protocol.witness import Witness, prove_step

CHUNK_HEIGHT = 16
REVEAL_HEIGHT = 4  # levels that one reveal of a duel goes down
REVEAL_NODES = 1 << REVEAL_HEIGHT
KEPT_CHUNKS = 8  # traced anew and kept in memory
MAX_SNAPSHOTS = 64


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


class History:
    """The commitment to one epoch's run, with all that a duel asks of whoever made it."""

    def __init__(self, machine: Machine, on_step: Callable[[Applied, Header], None] | None = None) -> None:
        """Runs `machine` to its halt; `on_step` sees every step's outcome."""
        self.height = machine.rules.params.history_height
        self._chunk_height = min(CHUNK_HEIGHT, self.height)
        self._snapshots = {0: machine.copy()}  # by chunk: every multiple of the spacing
        self._spacing = 1  # chunks; a power of two
        self._chunks: dict[int, list[list[bytes]]] = {}
        leaves = [machine.get_leaf()]
        opened: list[list[bytes]] = []
        while not machine.is_halted:
            applied = machine.step()
            if on_step is not None:
                on_step(applied, machine.header)
            if len(leaves) == 1 << self._chunk_height:
                opened.append([compute_root(leaves)])
                leaves = []
                self._keep(machine, len(opened))
            leaves.append(machine.get_leaf())
        self.steps = machine.count
        if self.steps >= 1 << self.height:
            raise ValueError(f"{self.steps} steps do not fit a history of height {self.height}")
        self.machine = machine
        self._pads = _compute_pads(leaves[-1], self.height)
        last = _compute_levels(leaves, self._pads, 0, self._chunk_height)
        self._chunks[len(opened)] = last
        roots = [root for (root,) in opened] + last[-1]
        self._upper = _compute_levels(roots, self._pads, self._chunk_height, self.height - self._chunk_height)

    @property
    def root(self) -> bytes:
        """The history commitment."""
        return self._upper[-1][0]

    @property
    def post_root(self) -> bytes:
        """Of the state that the run ends in."""
        return self.machine.header.state

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

    def get_machine(self, step: int) -> Machine:
        """A machine of its own, after `step` steps."""
        step = min(step, self.steps)
        machine = self._snapshots[step >> self._chunk_height & -self._spacing].copy()
        while machine.count < step:
            machine.step()
        return machine

    def prove_step(self, step: int) -> Witness:
        """The witness of the step that leads from leaf `step - 1` to leaf `step`. Always by the honest steps, whatever traced this."""
        machine = self.get_machine(step - 1)
        return prove_step(machine.header, machine.state, machine.preimages, machine.rules)

    def _keep(self, machine: Machine, chunk: int) -> None:
        """A snapshot at the start of `chunk`, if one is due; with too many, every second goes."""
        if chunk & self._spacing - 1:
            return
        self._snapshots[chunk] = machine.copy()
        if len(self._snapshots) > MAX_SNAPSHOTS:
            self._spacing <<= 1
            self._snapshots = {at: kept for at, kept in self._snapshots.items() if not at & self._spacing - 1}

    def _get_chunk(self, chunk: int) -> list[list[bytes]]:
        found = self._chunks.get(chunk)
        if found is None:
            machine = self.get_machine(chunk << self._chunk_height)
            leaves = [machine.get_leaf()]
            while len(leaves) < 1 << self._chunk_height and not machine.is_halted:
                machine.step()
                leaves.append(machine.get_leaf())
            found = _compute_levels(leaves, self._pads, 0, self._chunk_height)
            while len(self._chunks) >= KEPT_CHUNKS:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[chunk] = found
        return found
