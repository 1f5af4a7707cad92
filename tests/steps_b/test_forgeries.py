"""A witness with one thing changed reverts or leads to the same: nobody decides a step but the state. Every word of every kind of step."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from eth_abi.abi import decode, encode

from contracts import load_artifact
from protocol.codes import Code
from protocol.keccak import encode_word, keccak
from protocol.margin import compute_mark
from protocol.operations import build_trade
from protocol.types import Market, Page, Phase, TwoWay, encode_header, encode_legs
from protocol.witness import ORDER_TYPE, get_argument_types
from sim.twins.__main__ import KINDS, REACHABLE
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.runner import Outcome, get_step_name, get_twins
from tests.steps_b.exchange import CALL, MAKER, RULES, TAKER, Exchange, get_mark
from tests.steps_b.worlds import World

STARTS = 2  # of each kind
MOST_BYTES = 20_000  # of a start's arguments: 128 positions say no more than thirty
ATTEMPTS = 300
REFUSED_ATTEMPTS = 16
REFUSED_WORDS = 30
REFUSING = [name for name in KINDS if set(REACHABLE[name]) > {Code.OK}]
# What a step need not look at, in some case, so that anything may stand there: it leads to the same.
UNREAD = {
    "deposit": {"account"},  # the empty order slots of an account that was not open
    "order": {"body"},  # of a slot that was never used
    "combo": {"body"},
    "sheet": {"body"},
    "terms": {"maker_order", "maker_page", "taker_page"},  # an order stands in the slot, or a page, or nothing
    "commit": {"maker_order", "maker_page", "taker_page"},
    "cancel": {"chunk_hashes", "chunk"},  # sent from L1, not signed
    "withdraw": {"chunk_hashes", "chunk"},
    "authorize": {"chunk_hashes", "chunk"},
    "pool": {"chunk_hashes", "chunk"},
    "mark": {"next_chunk"},  # of a quorum in one chunk
    "settle": {"chunk_hashes", "chunk", "next_chunk"},  # the fallback is not signed
    "scan": {"account", "holder_word"},  # a word without a bit; a bit that stays
    "takeover": {"slot", "user_risky", "user_holder", "slot_risky", "slot_holder"},  # nothing moves
    "deleverage": {"slot", "user_risky", "user_holder", "slot_risky", "slot_holder"},
}

Place = tuple[int, ...]


class Case(NamedTuple):
    """A step, its arguments taken apart."""

    phase: Phase
    number: int  # of the rules
    types: list[str]
    values: tuple[object, ...]
    outcome: Outcome

    def forge(self, place: Place, new: object) -> bool:
        """Whether L1 reverts; it must not come to anything else than before."""
        forged = encode(self.types, set_item(self.values, place, new))  # type: ignore[arg-type]  # a tuple, as the values are
        answer, _, _ = get_twins().call(self.phase, forged, ALL_RULES[self.number])
        assert answer in (None, encode_header(self.outcome.after) + encode_word(self.outcome.code)), (self.phase, place, new)
        return answer is None


def set_item(value: object, place: Place, new: object) -> object:
    """A copy of nested tuples with one place changed."""
    if not place:
        return new
    assert isinstance(value, tuple)
    at, *rest = place
    return (*value[:at], set_item(value[at], tuple(rest), new), *value[at + 1 :])


def find_places(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Every leaf of nested tuples."""
    if isinstance(value, tuple):
        for at, item in enumerate(value):
            yield from find_places(item, (*place, at))
    else:
        yield place, value


def change(value: object) -> object:
    """By one bit; an empty string gets a byte."""
    if isinstance(value, int):
        return value ^ 1
    assert isinstance(value, bytes)
    return value[:-1] + bytes((value[-1] ^ 1,)) if value else b"\1"


def draw_case(name: str, seed: int, at: int) -> Case:
    """Number `at` of the kind, in both rule sets by turns."""
    start = KINDS[name](Dice(f"{seed} {name} {at}"), ALL_RULES[at & 1])
    phase = Phase(start.header.phase)
    outcome = get_twins().assert_twins(*start)
    types = get_argument_types(phase)
    return Case(phase, at & 1, types, decode(types, outcome.arguments), outcome)


def draw_cases(name: str, seed: int) -> Iterator[Case]:
    """Of the kind."""
    found = 0
    for at in range(ATTEMPTS):
        case = draw_case(name, seed, at)
        if case.outcome.code != Code.OK or len(case.outcome.arguments) > MOST_BYTES:
            continue
        yield case
        found += 1
        if found == STARTS:
            return
    raise AssertionError(f"few of {name} apply")


def get_argument_names(name: str) -> list[str]:
    """As the contract calls them."""
    (step,) = [item for item in load_artifact(name).abi if item["type"] == "function" and item["name"] == "step"]
    return [item["name"] for item in step["inputs"]]


@pytest.mark.parametrize("name", KINDS)
def test_every_value_of_a_witness_is_proven(seed: int, name: str) -> None:
    """Each word by itself, the header apart: that is the challenger's claim, not a witness."""
    names, unread = get_argument_names(name), set()
    for case in draw_cases(name, seed):
        assert get_step_name(case.phase) == name
        for place, value in find_places(case.values):
            if place[0] > 0 and not case.forge(place, change(value)):
                unread.add(names[place[0]])
    assert unread <= UNREAD.get(name, set())


@pytest.mark.parametrize("name", REFUSING)
def test_what_is_refused_stays_refused(seed: int, name: str) -> None:
    """No word of a witness turns a refusal into a step that applies, or into another one: of some codes, some of the words."""
    rng, seen = Dice(seed), {Code.OK}
    for at in range(REFUSED_ATTEMPTS):
        case = draw_case(name, seed, at)
        if case.outcome.code in seen or len(case.outcome.arguments) > MOST_BYTES:
            continue
        seen.add(case.outcome.code)
        places = [(place, value) for place, value in find_places(case.values) if place[0] > 0]
        for place, value in rng.sample(places, min(len(places), REFUSED_WORDS)):
            case.forge(place, change(value))
            if isinstance(value, int):
                case.forge(place, rng.choice((0, 1, value + 61, 2**63)))
    assert len(seen) > 1


@pytest.mark.parametrize("name", KINDS)
def test_paths_have_one_length(seed: int, name: str) -> None:
    """Neither a node above a leaf nor one below it can be shown for it."""
    tried = 0
    for case in draw_cases(name, seed):
        for at, kind in enumerate(case.types):
            path = case.values[at]
            if kind == "bytes32[]" and path:
                assert isinstance(path, tuple)
                for forged in (path[1:], path[:-1], (*path, bytes(32)), ()):
                    case.forge((at,), forged)
                    tried += 1
    assert tried or name in ("message", "inflate", "fetch", "shutdown")


def test_a_node_of_the_slots_is_no_slot(seed: int) -> None:
    """A node has two hashes below it as a slot's leaf has its nonce and the hash of the rest: shown for one, it would refuse any order."""
    for at in range(ATTEMPTS):
        start = KINDS["order"](Dice(f"{seed} {at}"), ALL_RULES[0])
        index, slot = start.pre.items[1], start.rules.params.get_slot(start.pre.items[7])
        if slot != 0 or start.state.get_slot_nonce(index, slot) == 0:
            continue
        outcome = get_twins().assert_twins(*start)
        if outcome.code != Code.OK:
            continue
        types = get_argument_types(Phase.ORDER)
        *values, last, body, (sibling, *path) = decode(types, outcome.arguments)
        node = (int.from_bytes(keccak(encode_word(last) + body), "big"), sibling, path)
        answer, _, _ = get_twins().call(Phase.ORDER, encode(types, [*values, *node]), ALL_RULES[0])
        assert answer is None
        return
    raise AssertionError("no order comes into the first slot")


def test_a_market_without_a_mark_cannot_be_invented() -> None:
    """Its leaf is zero, whatever a witness says that it holds."""
    x = Exchange()
    price = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, price, 5, 1) == x.place(TAKER, 1, price, 5, 2) == Code.OK
    full = x.state.markets
    x.state.put_markets((Market(), full[1]))
    world = World(RULES, x.state)
    world.pre.items = build_trade(MAKER, 1, TAKER, 2, 5)
    outcome, _ = world.run(Phase.TERMS)
    assert outcome.code == Code.SERIES
    types = get_argument_types(Phase.TERMS)
    values = list(decode(types, outcome.arguments))
    at = types.index("bytes32[2]") - 1
    index_price, _, _, *breaker = values[at][0]
    slices = [*map(tuple, full[0].slices), *[(0,) * 8] * (16 - len(full[0].slices))]
    values[at] = ((full[0].index_price, 0, slices, *breaker), values[at][1])
    answer, _, _ = get_twins().call(Phase.TERMS, encode(types, values), RULES)
    assert answer is None
    assert index_price == 0
    assert compute_mark(CALL, full[0])


@pytest.mark.parametrize("is_maker", [True, False])
def test_an_order_cannot_be_invented_beside_a_page(is_maker: bool) -> None:
    """A slot holds one of the two: with the page that stands there, nobody may show an order that does not."""
    x = Exchange()
    price = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, price, 5, 1) == x.place(TAKER, 1, price, 5, 2) == Code.OK
    index, slot = (MAKER, 1) if is_maker else (TAKER, 2)
    order = x.state.get_order(index, slot)
    x.state.put_page(index, slot, Page(nonce=1, sheet=1, quotes=(TwoWay(10**10, 1, price, 5, price, 5),)))
    world = World(RULES, x.state)
    world.pre.items = build_trade(MAKER, 1, TAKER, 2, 5)
    outcome, _ = world.run(Phase.TERMS)
    assert outcome.code == Code.ORDER
    types = get_argument_types(Phase.TERMS)
    values = list(decode(types, outcome.arguments))
    places = [at for at, kind in enumerate(types) if kind == ORDER_TYPE]
    values[places[0 if is_maker else 1]] = (*order[:2], encode_legs(order.legs), *order[3:])
    answer, _, _ = get_twins().call(Phase.TERMS, encode(types, values), RULES)
    assert answer is None
