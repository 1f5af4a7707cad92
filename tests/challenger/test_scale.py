"""What a block costs the challenger does not depend on how many claims a position has."""

import random
import sys
from collections.abc import Sequence
from types import FrameType

from challenger.board import compute_genesis
from challenger.events import BlockSeen, CaughtUp, Descend, Effect, EpochTraced, MoveConfirmed, Report, RevealTraced, Send, TraceReveal
from challenger.evidence import Judgement, Truth, Verdict
from challenger.machine import MAX_IN_FLIGHT, advance
from challenger.state import KEPT_BOARDS, Settings, create_challenger
from l1.contracts import BatchPosted, ClaimDied, Claimed, Descended, Event, Revealed
from l1.shapes import Header
from protocol.keccak import ZERO, encode_word, keccak
from protocol.params import DEVNET, MINIMAL, Params

ALICE, START, ROOT = 0xA11CE, 1_800_000_000, b"\1" * 32
TRUTH = Truth(b"\2" * 32, b"\3" * 32, (b"\4" * 32,) * 16, (b"\5" * 32,) * 28, 10)
FEW, MANY = 100, 2_000


class Chain:
    """Events by hand: an EVM would be most of the cost."""

    def __init__(self, params: Params = MINIMAL, urgent_s: int = 0) -> None:
        self.now, self.number = START, 0
        self.state = create_challenger(Settings(params, ROOT, ALICE, urgent_s=urgent_s))
        self.effects: list[Effect] = []
        self.epoch = START // params.epoch_s
        self.add(BatchPosted(0, self.epoch, 0, START, START, 0, 0, ZERO, 0, ZERO))
        self.now = (self.epoch + 1) * params.epoch_s
        self.state, _ = advance(self.state, CaughtUp())
        self.add()
        self.state, _ = advance(self.state, EpochTraced(self.state.board.epochs[self.epoch].key, TRUTH))
        self.close = self.now + params.entry_s
        self.ids: list[bytes] = []

    def add(self, *events: Event) -> None:
        self.number += 1
        header = Header(self.number, encode_word(self.number), encode_word(self.number - 1), self.now, 1)
        self.state, effects = advance(self.state, BlockSeen(header, events))
        self.effects += effects

    def feed(self, event: RevealTraced | MoveConfirmed) -> None:
        self.state, effects = advance(self.state, event)
        self.effects += effects

    def answer_questions(self) -> None:
        """All reveals that are asked for, and those that the answers lead to."""
        for effect in self.effects:  # grows meanwhile
            if isinstance(effect, TraceReveal) and effect in self.state.asked:
                self.feed(RevealTraced(effect.key, effect.height, effect.index, TRUTH.nodes))

    def descend(self, mine: bytes, rival: bytes, number: int, who: bytes) -> tuple[Event, ...]:
        """What completes round `number` and reveals for `who` in the next one."""
        low, high = sorted((mine, rival))
        nodes = TRUTH.nodes if who == mine else (rival,) * 16
        other = rival if who == mine else mine
        return Descended(low, high, number, 0, encode_word(1), encode_word(2)), Revealed(who, other, number + 1, nodes)

    def get_sends(self, kind: type[object]) -> list[Send]:
        return [effect for effect in self.effects if isinstance(effect, Send) and isinstance(effect.action, kind)]

    def claim(self, post_root: bytes, history: bytes, who: int) -> None:
        genesis = compute_genesis(ROOT)
        claim_id = keccak(genesis + encode_word(self.epoch) + post_root + history)
        nodes = (history,) * 16
        self.add(Claimed(claim_id, genesis, genesis, self.epoch, post_root, history, nodes, who, claim_id, self.close))
        self.ids.append(claim_id)

    def lie(self, count: int) -> None:
        for _ in range(count):
            self.claim(encode_word(len(self.ids)), encode_word(7), 0xBAD)


def count_calls(chain: Chain, events: Sequence[Event] = ()) -> int:
    """Of Python and C functions, for one more block."""
    count = 0

    def see(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        chain.add(*events)
    finally:
        sys.setprofile(None)
    return count


def measure(claims: int) -> list[int]:
    """Calls for a block without events, one with a claim, and one with a death, after so many claims."""
    chain = Chain()
    chain.claim(TRUTH.post_root, TRUTH.history, ALICE)
    chain.lie(claims)
    chain.add()
    costs = [count_calls(chain)]
    chain.lie(1)
    genesis = compute_genesis(ROOT)
    costs.append(count_calls(chain, [ClaimDied(chain.ids[-1], genesis)]))
    chain.now = chain.close
    chain.add()
    costs.append(count_calls(chain))
    return costs


def test_block__twenty_times_the_claims__costs_the_same() -> None:
    few, many = measure(FEW), measure(MANY)
    assert all(after <= before * 1.3 for before, after in zip(few, many, strict=True)), (few, many)


def test_boards__thousands_of_claims__share_what_they_have_in_common() -> None:
    """Each board of the last blocks is kept; a copy of all claims in each would be gigabytes."""
    chain = Chain()
    chain.lie(MANY)
    assert len(chain.state.boards) == KEPT_BOARDS + 1
    nodes: set[int] = set()
    stack: list[object] = [board.claims._root for board in chain.state.boards]
    while stack:
        node = stack.pop()
        if type(node) is tuple and id(node) not in nodes:
            nodes.add(id(node))
            stack += node
    assert len(nodes) < 10 * (KEPT_BOARDS + MANY)
    assert chain.state.boards[-1].claims[chain.ids[0]] is chain.state.boards[0].claims[chain.ids[0]]


def test_crowd__every_claim_is_judged_once_and_the_truth_claimed_once() -> None:
    chain = Chain()
    chain.lie(300)
    verdicts = [effect.item for effect in chain.effects if isinstance(effect, Report) and isinstance(effect.item, Verdict)]
    assert [verdict.judgement for verdict in verdicts] == [Judgement.INVALID] * 299  # the newest is not deep enough
    assert {verdict.claim_id for verdict in verdicts} == set(chain.ids[:-1])
    assert len([effect for effect in chain.effects if isinstance(effect, Send)]) == 1


def make_full_group(urgent_s: int = 0) -> Chain:
    """31 duels at once, in which it is our turn."""
    chain = Chain(DEVNET, urgent_s)
    chain.claim(TRUTH.post_root, TRUTH.history, ALICE)
    chain.lie(31)
    chain.add()
    chain.answer_questions()
    chain.add()
    return chain


def test_many_duels__only_so_much_is_under_way__the_rest_follows_as_it_lands() -> None:
    chain = make_full_group()
    first = chain.get_sends(Descend)
    assert len(first) == MAX_IN_FLIGHT == len(chain.state.in_flight)
    for count, send in enumerate(first, 1):
        chain.feed(MoveConfirmed(send.name, chain.number))
        assert len(chain.get_sends(Descend)) == min(31, MAX_IN_FLIGHT + count)
    assert len({send.name for send in chain.get_sends(Descend)}) == 31


def test_many_duels__little_time_left__all_are_sent() -> None:
    chain = make_full_group()
    urgent = make_full_group(urgent_s=DEVNET.entry_s + DEVNET.grace_s + DEVNET.censorship_s)
    assert len(chain.get_sends(Descend)) == MAX_IN_FLIGHT
    assert len(urgent.get_sends(Descend)) == 31


def test_many_duels__deadlines_differ__the_earliest_go_first_and_the_rest_follow_in_order() -> None:
    chain = make_full_group()
    before = chain.get_sends(Descend)
    mine, *rivals = chain.ids
    random.Random(3).shuffle(rivals)
    chain.now = chain.close
    chain.add(*(event for rival in rivals for event in chain.descend(mine, rival, 0, mine)))
    for rival in rivals:  # each answers a second later than the one before: our clock against it runs from then on
        chain.now += 1
        chain.add(*chain.descend(mine, rival, 1, rival))
    chain.add()
    chain.answer_questions()
    assert chain.get_sends(Descend) == before  # all that may be under way is
    for send in before:
        chain.feed(MoveConfirmed(send.name, chain.number))
    sent = chain.get_sends(Descend)[MAX_IN_FLIGHT:]
    assert [send.action.other for send in sent if isinstance(send.action, Descend)] == rivals[:MAX_IN_FLIGHT]
    for count, send in enumerate(sent, MAX_IN_FLIGHT + 1):
        chain.feed(MoveConfirmed(send.name, chain.number))
        following = [send.action.other for send in chain.get_sends(Descend)[MAX_IN_FLIGHT:] if isinstance(send.action, Descend)]
        assert following == rivals[:count]
    deadlines = [send.deadline for send in chain.get_sends(Descend)[MAX_IN_FLIGHT:]]
    assert deadlines == list(range(deadlines[0], deadlines[0] + len(rivals)))
