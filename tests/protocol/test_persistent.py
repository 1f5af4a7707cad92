"""The persistent map against dictionaries."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.persistent import Key, Map

SMALL = st.integers(0, 5)
SAME = st.one_of(SMALL.map(lambda n: n + (1 << 64)), SMALL.map(lambda n: b"%d" % n + bytes(8)))  # of the same digest as others
WORDS = st.one_of(st.binary(max_size=2), st.text(max_size=2), st.tuples(SMALL, SMALL))
KEYS = st.one_of(st.integers(-3, 40), SAME, SMALL.map(lambda n: n << 40), WORDS)


@given(st.lists(st.tuples(KEYS, st.integers() | st.none()), max_size=120))
def test_map__any_changes__every_version_stays_what_it_was(changes: list[tuple[Key, int | None]]) -> None:
    versions = [(Map[Key, int](), dict[Key, int]())]
    for key, value in changes:
        found, expected = versions[-1]
        if value is None:
            versions.append((found.discard(key), {other: kept for other, kept in expected.items() if other != key}))
        else:
            versions.append((found.set(key, value), {**expected, key: value}))
    for found, expected in versions:
        assert dict(found) == expected
        assert len(found) == len(expected)
        assert all(found.get(key) == expected.get(key) for key, _ in changes)
