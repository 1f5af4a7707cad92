"""Sparse binary Merkle trees of fixed depth with deferred hashing.

An empty leaf is zero and the parent of two zeros is the keccak of them: no special case, so L1 needs none.
"""

from sha3 import keccak_256

from protocol.keccak import ZERO, keccak


def _compute_empty_roots(depth: int) -> tuple[bytes, ...]:
    roots = [ZERO]
    for _ in range(depth):
        roots.append(keccak(roots[-1] + roots[-1]))
    return tuple(roots)


EMPTY_ROOTS = _compute_empty_roots(64)  # by height


def compute_root_from_path(leaf: bytes, index: int, path: tuple[bytes, ...] | list[bytes]) -> bytes:
    """The root that `leaf` at `index` has under its siblings, bottom first."""
    node = leaf
    for sibling in path:
        node = keccak(sibling + node if index & 1 else node + sibling)
        index >>= 1
    return node


class Tree:
    """Leaves are set at once, inner nodes when a root or a path is asked for: many updates share their upper levels."""

    __slots__ = ("_dirty", "_levels", "depth")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._levels: list[dict[int, bytes]] = [{} for _ in range(depth + 1)]
        self._dirty: set[int] = set()

    def copy(self) -> "Tree":
        """An independent tree with the same leaves."""
        twin = Tree(self.depth)
        twin._levels = [dict(level) for level in self._levels]
        twin._dirty = set(self._dirty)
        return twin

    def get_leaf(self, index: int) -> bytes:
        """Zero where nothing was set."""
        return self._levels[0].get(index, ZERO)

    def set_leaf(self, index: int, leaf: bytes) -> None:
        """`index` must be inside the tree."""
        self._levels[0][index] = leaf
        self._dirty.add(index)

    def get_root(self) -> bytes:
        """Hashes what changed since the last call."""
        if self._dirty:
            self._flush()
        return self._levels[self.depth].get(0, EMPTY_ROOTS[self.depth])

    def prove(self, index: int) -> list[bytes]:
        """The siblings of a leaf, bottom first."""
        self.get_root()
        path = []
        for height in range(self.depth):
            path.append(self._levels[height].get(index ^ 1, EMPTY_ROOTS[height]))
            index >>= 1
        return path

    def _flush(self) -> None:
        """Level by level where changed leaves share parents; from where their paths have met, or for a single leaf, one path."""
        dirty, height = self._dirty, 0
        while len(dirty) > 1:
            nodes, above, empty = self._levels[height], self._levels[height + 1], EMPTY_ROOTS[height]
            parents = {index >> 1 for index in dirty}
            for parent in parents:
                left = nodes.get(parent << 1, empty)
                right = nodes.get(parent << 1 | 1, empty)
                above[parent] = keccak_256(left + right).digest()
            dirty, height = parents, height + 1
        (index,) = dirty
        nodes = self._levels[height]
        node = nodes[index]
        for empty, above in zip(EMPTY_ROOTS[height : self.depth], self._levels[height + 1 :], strict=True):
            sibling = nodes.get(index ^ 1, empty)
            node = keccak_256(sibling + node if index & 1 else node + sibling).digest()
            index >>= 1
            above[index] = node
            nodes = above
        self._dirty = set()
