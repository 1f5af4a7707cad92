"""A commitment that is wrong where its maker wants it to be, and that can be stood up for in every move of a duel."""

import random
from collections.abc import Mapping, Sequence

from protocol.history import Commitment, History
from protocol.keccak import keccak
from protocol.types import Header, compute_header_leaf


class Forgery(Commitment):
    """The leaves of `truth`, but for those in `changes`. Its reveals fold, its paths lead to its root."""

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


def make_forgeries(truth: History, count: int, rng: random.Random, places: Sequence[int] = ()) -> list[Forgery]:
    """Different ones. Each is wrong in one of `places` (leaves; all of the run's where none are given) and in its end."""
    made = []
    for _ in range(count):
        at = rng.choice(places) if places else rng.randint(0, truth.steps)
        made.append(Forgery(truth, rng.randbytes(32), {at: rng.randbytes(32)}))
    return made
