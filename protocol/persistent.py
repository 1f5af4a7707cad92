"""A map that is never changed in place: a new version shares all but one path with the old one, so that keeping many of them is cheap."""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from protocol.keccak import keccak

BITS = 4
MASK = (1 << BITS) - 1
DIGEST_BYTES = 8
DIGEST_MASK = (1 << 64) - 1
FACTOR = 0x9E3779B97F4A7C15  # odd; any would do
Key = int | str | bytes | tuple[Any, ...]
K = TypeVar("K", bound=Key)
V = TypeVar("V")
EMPTY: tuple[None, ...] = (None,) * (1 << BITS)


class _Leaf(NamedTuple):
    """Entries whose keys have one digest: nearly always a single one."""

    digest: int
    items: tuple[tuple[Any, Any], ...]


class Map(Mapping[K, V], Generic[K, V]):
    """A trie over digests of its keys; a node is a tuple of 16. The order of iteration means nothing."""

    __slots__ = ("_root", "_size")

    def __init__(self) -> None:
        self._root: Any = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: K) -> V:
        digest = rest = _digest(key)
        node = self._root
        while type(node) is tuple:
            node = node[rest & MASK]
            rest >>= BITS
        if node is not None and node.digest == digest:
            for other, value in node.items:
                if other == key:
                    found: V = value
                    return found
        raise KeyError(key)

    def __iter__(self) -> Iterator[K]:
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if type(node) is tuple:
                nodes.extend(node)
            elif node is not None:
                yield from (key for key, _ in node.items)

    def set(self, key: K, value: V) -> "Map[K, V]":
        """With this value for the key, whether it was there or not."""
        digest = _digest(key)
        return self._with(_set(self._root, digest, 0, key, value), self._size + (key not in self))

    def discard(self, key: K) -> "Map[K, V]":
        """Without the key, whether it was there or not."""
        if key not in self:
            return self
        return self._with(_discard(self._root, _digest(key), 0, key), self._size - 1)

    def _with(self, root: Any, size: int) -> "Map[K, V]":
        twin: Map[K, V] = Map()
        twin._root, twin._size = root, size
        return twin


def _digest(key: Key) -> int:
    """Keys are mostly ids that are hashes, or numbers that count. The same in every process, as Python's own hashes are not."""
    if isinstance(key, bytes):
        return int.from_bytes(key[-DIGEST_BYTES:], "big")
    if isinstance(key, int):
        return key & DIGEST_MASK
    if isinstance(key, str):
        return int.from_bytes(keccak(key.encode())[-DIGEST_BYTES:], "big")
    digest = 0
    for part in key:
        digest = digest * FACTOR + _digest(part) & DIGEST_MASK
    return digest


def _set(node: Any, digest: int, shift: int, key: object, value: object) -> Any:
    if node is None:
        return _Leaf(digest, ((key, value),))
    if type(node) is tuple:
        place = digest >> shift & MASK
        return (*node[:place], _set(node[place], digest, shift + BITS, key, value), *node[place + 1 :])
    if node.digest == digest:
        return _Leaf(digest, (*(item for item in node.items if item[0] != key), (key, value)))
    place = node.digest >> shift & MASK
    return _set((*EMPTY[:place], node, *EMPTY[place + 1 :]), digest, shift, key, value)


def _discard(node: Any, digest: int, shift: int, key: object) -> Any:
    if type(node) is tuple:
        place = digest >> shift & MASK
        rest = (*node[:place], _discard(node[place], digest, shift + BITS, key), *node[place + 1 :])
        return None if rest == EMPTY else rest
    items = tuple(item for item in node.items if item[0] != key)
    return _Leaf(digest, items) if items else None
