"""A commitment that is wrong where its maker wants it to be, and that can be stood up for in every move of a duel."""

import random
from collections.abc import Mapping, Sequence

from protocol.history import REVEAL_HEIGHT, REVEAL_NODES, History
from protocol.keccak import keccak
from protocol.types import Header, compute_header_leaf


class Forgery:
    """The leaves of `truth`, but for those in `changes`. Answers as `History` does; its reveals fold, its paths lead to its root."""

    def __init__(self, truth: History, post_root: bytes, changes: Mapping[int, bytes]) -> None:
        """`post_root` is claimed; the last leaf is made to halt in it, as L1 demands."""
        self.truth = truth
        self.height = truth.height
        self.post_root = post_root
        header: Header = truth.machine.header
        end = compute_header_leaf(header._replace(state=post_root))
        self._leaves = {**changes, (1 << self.height) - 1: end}
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._changed = {(height, index >> height) for index in self._leaves for height in range(self.height + 1)}

    @property
    def root(self) -> bytes:
        """The history commitment."""
        return self.get_node(self.height, 0)

    def get_node(self, height: int, index: int) -> bytes:
        """The node `height` levels above the leaves."""
        if (height, index) not in self._changed:
            return self.truth.get_node(height, index)
        if height == 0:
            return self._leaves[index]
        if (height, index) not in self._nodes:
            below = height - 1, index << 1
            self._nodes[height, index] = keccak(self.get_node(*below) + self.get_node(below[0], below[1] | 1))
        return self._nodes[height, index]

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


def make_forgeries(truth: History, count: int, rng: random.Random, places: Sequence[int] = ()) -> list[Forgery]:
    """Different ones. Each is wrong in one of `places` (leaves; all of the run's where none are given) and in its end."""
    made = []
    for _ in range(count):
        at = rng.choice(places) if places else rng.randint(0, truth.steps)
        made.append(Forgery(truth, rng.randbytes(32), {at: rng.randbytes(32)}))
    return made
