"""The challenger as a pure machine: what it saw and traced in, what it wants done out.

After every event it plans anew from the board of claims, so there is no plan to lose in a crash. Rules that keep it quiet: an action is
sent once for the state that it answers; the state must be as deep as `confirmations`, unless a deadline is near; what other honest parties
may do as well is left to them while that is free (`challenger.turns`); only so much is under way at once that whatever is more urgent need
not wait for long; and after an outcome the same action waits until a board shows what became of it.
"""

from dataclasses import replace
from itertools import pairwise

from challenger.board import Board, Status, apply_block
from challenger.claims import plan_claims
from challenger.costs import estimate, is_worth_taking
from challenger.duels import plan_duels
from challenger.epochs import Base, Link, compute_links, find_untraced
from challenger.events import (
    BlockSeen,
    BlockUndone,
    CaughtUp,
    ClockElapsed,
    Effect,
    EpochTraced,
    EpochUnavailable,
    Event,
    ForgetEpoch,
    MoveConfirmed,
    MoveFailed,
    Report,
    RevealTraced,
    Send,
    StepTraced,
    TraceEpoch,
    TraceReveal,
    TraceStep,
)
from challenger.evidence import Alert, AlertCode, Evidence, Judgement, Verdict
from challenger.money import plan_money
from challenger.queue import plan_queue
from challenger.reports import collect_alerts, collect_evidence, judge_claims, skip_past
from challenger.state import KEPT_BOARDS, Challenger, Task, check_undo

MAX_BACKOFF_BLOCKS = 32
MAX_IN_FLIGHT = 16  # transactions: they stand in the order of their nonces


def advance(state: Challenger, event: Event) -> tuple[Challenger, list[Effect]]:
    """Raises `Malformed` where L1's events contradict themselves."""
    state = _apply(state, event)
    effects: list[Effect] = []
    if isinstance(event, EpochUnavailable):
        state, told = _tell(state, [Verdict(b"", event.epoch, Judgement.UNAVAILABLE, event.reason)])
        effects += told
    if isinstance(event, BlockUndone) or (isinstance(event, BlockSeen) and not event.is_newest):
        return state, effects  # another block follows at once: what we would do now may be done there
    state, decided = _decide(state)
    effects += decided
    if isinstance(event, EpochTraced) and not state.is_live:
        state, digested = _digest_past(state)
        effects += digested
    return state, effects


def plan(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """All that the board asks of us, the earliest deadline first."""
    tasks = plan_claims(state, board, links, now) + plan_duels(state, board, links, now) + plan_money(state, board, links, now)
    tasks += plan_queue(state, board, now)
    return sorted(tasks, key=lambda task: (task.deadline, task.name))


def _apply(state: Challenger, event: Event) -> Challenger:
    match event:
        case BlockSeen(header, events, _):
            board = apply_block(state.board, header, events)
            return replace(state, boards=(*state.boards[-KEPT_BOARDS:], board))
        case BlockUndone(header):
            check_undo(state, header.hash)
            return _look_again(replace(state, boards=state.boards[:-1], asked=frozenset()))
        case CaughtUp():
            return skip_past(replace(state, is_live=True), state.confirmed)
        case EpochTraced(key, truth):
            asked = frozenset(item for item in state.asked if not isinstance(item, TraceEpoch) or item.key != key)
            return replace(state, truths={**state.truths, key: truth}, asked=asked)
        case RevealTraced(key, height, index, nodes):
            asked = state.asked - {TraceReveal(key, height, index)}
            return replace(state, reveals={**state.reveals, (key, height, index): nodes}, asked=asked)
        case StepTraced(key, index, proof):
            return replace(state, steps={**state.steps, (key, index): proof}, asked=state.asked - {TraceStep(key, index)})
        case ClockElapsed(now):
            return replace(state, clock=max(now, state.clock))
        case MoveConfirmed(name, number):
            return _settle(state, name, number + state.settings.confirmations)
        case MoveFailed(name, number, _):
            backoff = min(1 << min(state.attempts.get(name, 0), 8), MAX_BACKOFF_BLOCKS)
            return _settle(state, name, number + backoff)
        case EpochUnavailable():
            return state


def _settle(state: Challenger, name: str, hold: int) -> Challenger:
    """The attempt is over. Whether the action is still wanted, the boards will say; the outcome's block must be among them."""
    in_flight = {other: attempt for other, attempt in state.in_flight.items() if other != name}
    attempts = {**state.attempts, name: state.attempts.get(name, 0) + 1}
    return replace(state, in_flight=in_flight, attempts=attempts, holds={**state.holds, name: hold})


def _look_again(state: Challenger) -> Challenger:
    """At claims whose entry or death was undone and may come again in another order."""
    board = state.confirmed
    return replace(state, judged=min(state.judged, len(board.entered)), explained=min(state.explained, len(board.fallen)))


def _digest_past(state: Challenger) -> tuple[Challenger, list[Effect]]:
    """While catching up: verdicts, and states that nothing can need are dropped as soon as their children are traced."""
    links = compute_links(state.board, state.truths, state.board.now, state.base)
    state, effects = _judge(state, state.board, links)
    return _prune(state, effects, links)


def _decide(state: Challenger) -> tuple[Challenger, list[Effect]]:
    board, now = state.board, state.board.now
    untraced = find_untraced(board, state.truths, now)
    effects: list[Effect] = []
    if untraced is not None:
        state, effects = _ask(state, untraced)
    if not state.is_live:
        return state, effects  # the past is read fast; what it means is told once it has been read
    links = compute_links(board, state.truths, now, state.base)
    confirmed = state.confirmed
    deep = links if confirmed is board else compute_links(confirmed, state.truths, now, state.base)
    state, told = _report(state, confirmed, deep, now)
    effects += told
    tasks = plan(state, board, links, now)
    settled = {task.name for task in (tasks if confirmed is board else plan(state, confirmed, deep, now))}
    state = _clear(state, tasks)
    for task in tasks:
        if isinstance(task.need, TraceReveal | TraceStep):
            state, asked = _ask(state, task.need)
            effects += asked
        elif task.name in settled or task.deadline - now <= state.settings.urgent_s:
            state, sent = _send(state, task, now)
            effects += sent
    return _prune(state, effects, deep)


def _clear(state: Challenger, tasks: list[Task]) -> Challenger:
    """Forgets how often and since when something was tried that is not asked of us any more."""
    names = {task.name for task in tasks} | state.in_flight.keys()
    if state.attempts.keys() | state.holds.keys() | state.turns.keys() <= names:
        return state
    attempts, holds, turns = (
        {name: value for name, value in kept.items() if name in names} for kept in (state.attempts, state.holds, state.turns)
    )
    return replace(state, attempts=attempts, holds=holds, turns=turns)


def _ask(state: Challenger, question: Effect) -> tuple[Challenger, list[Effect]]:
    if question in state.asked:
        return state, []
    return replace(state, asked=state.asked | {question}), [question]


def _send(state: Challenger, task: Task, now: int) -> tuple[Challenger, list[Effect]]:
    if task.name in state.in_flight or state.board.header.number < state.holds.get(task.name, 0):
        return state, []
    is_urgent = task.deadline - now <= state.settings.urgent_s
    if task.turn is not None and not is_urgent:
        since = state.turns.get(task.name, now)
        if task.name not in state.turns:
            state = replace(state, turns={**state.turns, task.name: since})
        if now < min(since + task.turn.wait_s, task.turn.until):
            return state, []
    if len(state.in_flight) >= MAX_IN_FLIGHT and not is_urgent:
        return state, []
    me = state.settings.me
    assert me is not None, "whoever watches has no task"
    assert not isinstance(task.need, TraceReveal | TraceStep), "a question is no transaction"
    attempt = state.attempts.get(task.name, 0)
    state = replace(state, in_flight={**state.in_flight, task.name: attempt})
    return state, [Send(task.name, attempt, task.need, task.deadline, estimate(state.board, me, task.need))]


def _judge(state: Challenger, board: Board, links: tuple[Link, ...]) -> tuple[Challenger, list[Effect]]:
    state, verdicts = judge_claims(state, board, links)
    return _tell(state, verdicts)


def _report(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> tuple[Challenger, list[Effect]]:
    state, effects = _judge(state, board, links)
    state, found = collect_evidence(state, board, links)
    for item in found:
        if isinstance(item, Task):
            assert isinstance(item.need, TraceStep), "evidence asks for steps only"
            state, asked = _ask(state, item.need)
            effects += asked
        else:
            state, told = _tell(state, [item])
            effects += told
    alerts = collect_alerts(state, board, links, now)
    if not any(alert.code == AlertCode.LAGGING for alert in alerts):
        state = replace(state, told=state.told.discard(("alert", AlertCode.LAGGING, b"")))
    state, told = _tell(state, alerts)
    return state, effects + told


def _tell(state: Challenger, items: list[Verdict] | list[Evidence] | list[Alert]) -> tuple[Challenger, list[Effect]]:
    """Each thing once; a wrong claim's evidence and its verdict are two things."""
    effects: list[Effect] = []
    told = state.told
    key: tuple[str | int | bytes, ...]
    for item in items:
        match item:
            case Evidence(claim_id=claim_id):
                key = ("evidence", claim_id)
            case Alert(code, message, claim_id):
                key = ("alert", code, claim_id) if code != AlertCode.STUCK else ("alert", message)
            case Verdict(claim_id, epoch, judgement, reason):
                key = ("verdict", claim_id, epoch, judgement, reason)
        if key not in told:
            told = told.set(key, True)
            effects.append(Report(item))
    return replace(state, told=told), effects


def _prune(state: Challenger, effects: list[Effect], links: tuple[Link, ...]) -> tuple[Challenger, list[Effect]]:
    """The path starts later when an epoch's child is final, all is told about it and nothing of ours is left in it."""
    for link, child in pairwise(links):
        if child.status != Status.FINAL or _is_open(state, link):
            break
        state = replace(
            state,
            base=Base(link.epoch, link.claim_id),
            reveals={place: nodes for place, nodes in state.reveals.items() if place[0] != link.key},
            steps={place: proof for place, proof in state.steps.items() if place[0] != link.key},
        )
        effects.append(ForgetEpoch(link.key))
    return state, effects


def _is_open(state: Challenger, link: Link) -> bool:
    me, board = state.settings.me, state.board
    if link.position is not None and any(
        board.claims[dead].position == link.position.id for dead in state.unexplained if dead in board.claims
    ):
        return True
    if me is None:
        return False
    return link.claim_id in board.get_tips(me) or is_worth_taking(board, link.claim_id, me)
