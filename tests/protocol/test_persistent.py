"""The persistent map against dictionaries."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.persistent import Map

SAME_HASH = (1 << 61) - 1  # of a Python integer: n and n + SAME_HASH
KEYS = st.one_of(
    st.integers(0, 40), st.integers(0, 5).map(lambda n: n + SAME_HASH), st.integers(0, 5).map(lambda n: n << 40), st.binary(max_size=2)
)


@given(st.lists(st.tuples(KEYS, st.integers() | st.none()), max_size=120))
def test_map__any_changes__every_version_stays_what_it_was(changes: list[tuple[int | bytes, int | None]]) -> None:
    versions = [(Map[int | bytes, int](), dict[int | bytes, int]())]
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
