"""What must be so after every trial, whoever the villain was."""

from collections.abc import Iterator
from enum import StrEnum

from challenger.board import Board, Claim, Status
from l1.contracts import ClaimDied, Claimed, StakeWithdrawn, WorkCredited
from protocol.duel import A, B, is_out
from sim.court import GAS_PRICE, Receipt, encode_address
from sim.evm import WEALTH_WEI, Reverted
from sim.villains.stage import Stage

MOVES = ("Claims.reveal", "Claims.descend", "Claims.prove", "Claims.timeout")
SLACK_GAS = 42_000  # that a claim's wage is too much here: it pays for cold slots, which are warm in the court (`sim.evm`), and full height
CREDITED_WEI = 2 * GAS_PRICE  # a gas, that work is paid at most: the cap on tips of `wages.vy`, since the court's base fee reads as 0 there


class Fate(StrEnum):
    """Why a wrong claim is out, or what else beat the villain."""

    STEP = "step"  # the one-step proof, in its duel with the right claim
    CLOCK = "clock"  # out of time against the right claim
    RIVAL = "rival"  # another wrong claim's doing
    ROUND = "round"  # its round of the tournament ended without it moving up
    BRANCH = "branch"  # it stands on a wrong claim, or in a position that was reopened
    L1 = "L1"  # what was tried reverts
    TRUTH = "truth"  # nothing wrong was claimed: the truth went its way


def find_faults(stage: Stage, fates: frozenset[Fate]) -> list[str]:
    """Everything that is not as it must be, in words; nothing if all is well."""
    board = stage.look()
    _collect(stage, board)
    board = stage.look()
    return [
        *stage.broken,
        *_check_truth(stage, board),
        *_check_stakes(stage, board),
        *_check_moves(stage, board),
        *_check_fates(stage, board, fates),
        *_check_money(stage, board),
    ]


def find_fates(stage: Stage) -> dict[Fate, int]:
    """How often each was met."""
    found = [*list_fates(stage), *[Fate.L1] * len(stage.refusals)]
    return {fate: found.count(fate) for fate in Fate if fate in found} or {Fate.TRUTH: 1}


def list_fates(stage: Stage) -> list[Fate]:
    """Of the wrong claims, in order of entry."""
    board = stage.look()
    return [_find_fate(stage, board, claim) for claim in stage.list_wrong(board)]


def _collect(stage: Stage, board: Board) -> None:
    """Everybody but the honest tries to take out what there is for them, and more."""
    final = [claim.id for claim in board.claims.values() if claim.status == Status.FINAL and claim.id != board.genesis]
    owners = {board.get_owner(stake): stake for stake in board.tips}
    for who in sorted(_list_strangers(stage)):
        calls = [("withdraw_work", claim_id) for claim_id in final]
        calls += [("withdraw_stake", stake) for stake in board.tips if board.get_owner(stake) == who and who in owners]
        for function, about in calls:
            try:
                stage.court.transact(who, "Claims", function, about)
            except Reverted as error:
                if not error.reason.startswith("claims: "):
                    stage.broken.append(f"{function} failed with {error.reason!r}")


def _check_truth(stage: Stage, board: Board) -> Iterator[str]:
    right = stage.list_right(board)
    for epoch in stage.epochs:
        final = [claim_id for claim_id, truth in right.items() if truth is epoch.truth and board.claims[claim_id].status == Status.FINAL]
        if len(final) != 1 or stage.court.call("Claims", "get_final_root", final[0]) != epoch.truth.post_root:
            yield f"the truth of epoch {epoch.number} is not final"
    for claim in stage.list_wrong(board):
        if claim.status == Status.FINAL or stage.court.call("Claims", "is_final", claim.id):
            yield f"a wrong claim of epoch {claim.epoch} is final"
    for event in _list_events(stage):
        if isinstance(event, ClaimDied) and event.claim_id in right:
            yield "a right claim died"


def _check_stakes(stage: Stage, board: Board) -> Iterator[str]:
    """Of the honest none is lost; of the liars none comes back."""
    right = stage.list_right(board)
    honest = _list_honest(stage)
    for event in _list_events(stage):
        if isinstance(event, StakeWithdrawn) and event.stake_id not in right:
            yield "a stake that entered with a wrong claim was paid back"
        if isinstance(event, Claimed) and event.claim_id == event.stake_id and event.claimant in honest:
            tip = board.tips.get(event.stake_id)  # none: paid back
            if tip is not None and (tip not in right or board.claims[tip].status != Status.FINAL):
                yield "an honest stake is lost, or waits"


def _check_moves(stage: Stage, board: Board) -> Iterator[str]:
    """Whoever is honest acts for right claims, against wrong ones, once for each thing, and not in vain."""
    right = stage.list_right(board)
    honest = _list_honest(stage)
    seen: set[object] = set()
    for receipt in stage.court.receipts:
        if receipt.sender not in honest:
            continue
        if receipt.function in MOVES and (receipt.arguments[0] not in right or receipt.arguments[1] in right):
            yield f"an honest party moved for a wrong claim, or against a right one: {receipt.function}"
        whose = receipt.sender if receipt.function == "Claims.withdraw_work" else 0  # each has its own
        key = receipt.function, repr(receipt.arguments), whose
        if key in seen:
            yield f"an honest party did a thing twice: {receipt.function}"
        seen.add(key)
    for event in _list_events(stage):
        if isinstance(event, Claimed) and event.claimant in honest and event.claim_id not in right:
            yield "an honest party claimed what is wrong"
    for failure in stage.court.failures:
        if failure.sender in honest and not (stage.may_fail and failure.reason.startswith("claims: ")):
            yield f"an honest transaction failed: {failure.function}: {failure.reason}"


def _check_fates(stage: Stage, board: Board, fates: frozenset[Fate]) -> Iterator[str]:
    for claim in stage.list_wrong(board):
        if stage.court.call("Claims", "is_alive", claim.id) and _find_fate(stage, board, claim) != Fate.BRANCH:
            yield f"a wrong claim of epoch {claim.epoch} is alive"
    found = frozenset(find_fates(stage))
    if found != fates:
        yield f"beaten by {'/'.join(sorted(found))} instead of {'/'.join(sorted(fates))}"


def _check_money(stage: Stage, board: Board) -> Iterator[str]:
    """No villain gains, except by its own moves for a claim of its own that is right; and where there is a pot, the honest claimant lays
    out nothing in the end but what undisputed epochs cost anyway, and what gas costs above the price that wages are capped at."""
    honest = _list_honest(stage)
    right = [board.claims[claim_id] for claim_id in stage.list_right(board)]
    won = [claim for claim in right if claim.status == Status.FINAL and board.positions[claim.position].bracket.count > 1]
    for who in sorted(_list_strangers(stage)):
        gain = compute_gain(stage, board, who)
        if gain > _compute_bound(stage, who, [claim.id for claim in won if claim.claimant == who]):
            yield f"the villain {who:#x} gained {gain} wei"
    claimants = {claim.claimant for claim in won}
    if claimants and claimants <= honest:  # what comes on top is the claimant's; whoever helps it is paid at cost
        paid = -sum(compute_gain(stage, board, who) for who in claimants) - _compute_upkeep(stage, board, right, claimants)
        if paid > _compute_excess(stage, claimants):
            yield f"the honest paid {paid} wei"


def _compute_bound(stage: Stage, who: int, claims: list[bytes]) -> int:
    """Wei that a stranger may gain: nothing, but for its own right `claims` half of what its moves were metered at, which is a third of
    what they are paid; and what a claim's wage is too much in the court."""
    bound = 0
    for receipt in _list_calls(stage, {who}):
        paid = [e for e in stage.court.blocks[receipt.block].events if isinstance(e, WorkCredited) and e.claim_id in claims]
        bound += paid[-1].amount // 3 if paid else 0  # the last is the call's own: a finalization owes for the claim first
        if receipt.function == "Claims.claim":
            made = [e for e in stage.court.blocks[receipt.block].events if isinstance(e, Claimed) and e.claim_id in claims]
            bound += len(made) * SLACK_GAS * _get_price(stage, receipt)
    return bound


def _compute_upkeep(stage: Stage, board: Board, right: list[Claim], spenders: set[int]) -> int:
    """Wei that they spent on claims without a rival."""
    free = [claim for claim in right if board.positions[claim.position].bracket.count == 1]
    calls = {("Claims.claim", claim.parent) for claim in free} | {("Claims.finalize", claim.id) for claim in free}
    spent = (r for r in _list_calls(stage, spenders) if (r.function, r.arguments[0]) in calls)
    return sum(receipt.gas * _get_price(stage, receipt) for receipt in spent)


def _compute_excess(stage: Stage, spenders: set[int]) -> int:
    """Wei that they spent above the price that work is paid at."""
    return sum(r.gas * max(0, _get_price(stage, r) - CREDITED_WEI) for r in _list_calls(stage, spenders))


def _get_price(stage: Stage, receipt: Receipt) -> int:
    """Wei a gas: its block's base fee, and the tip that everybody gives."""
    return stage.court.blocks[receipt.block].header.base_fee + GAS_PRICE


def compute_gain(stage: Stage, board: Board, who: int) -> int:
    """Wei since the beginning: gas is spent, and a stake that may be taken out is still there."""
    own = [receipt for receipt in stage.court.receipts if receipt.sender == who]
    if not own:
        return 0  # the court funds whoever acts
    spent = sum(receipt.gas * _get_price(stage, receipt) for receipt in own)
    free = sum(board.get_owner(stake) == who and board.claims[tip].status == Status.FINAL for stake, tip in board.tips.items())
    return stage.court.evm.get_balance(encode_address(who)) - WEALTH_WEI - spent + free * stage.params.stake_wei


def _find_fate(stage: Stage, board: Board, claim: Claim) -> Fate:
    right = stage.list_right(board)
    receipt = _find_death(stage, claim.id)
    if receipt is not None:
        if not {receipt.arguments[0], receipt.arguments[1]} & right.keys():
            return Fate.RIVAL
        return Fate.CLOCK if _is_clock_over(stage, receipt) else Fate.STEP
    is_current = board.current.get(claim.parent, claim.parent) == claim.position
    is_rooted = claim.parent == board.genesis or claim.parent in right
    return Fate.ROUND if is_current and is_rooted else Fate.BRANCH


def _is_clock_over(stage: Stage, receipt: Receipt) -> bool:
    """Of either side, before that transaction between two claims: then even a proof leaves it to the clock."""
    duel = stage.look_before(receipt.block).get_duel(receipt.arguments[0], receipt.arguments[1])
    now = stage.court.blocks[receipt.block].header.time
    return any(is_out(duel, side, now, stage.params) for side in (A, B))


def _find_death(stage: Stage, claim_id: bytes) -> Receipt | None:
    """The transaction that killed it."""
    for receipt in stage.court.receipts:
        events = stage.court.blocks[receipt.block].events
        if any(isinstance(event, ClaimDied) and event.claim_id == claim_id for event in events):
            return receipt
    return None


def _list_events(stage: Stage) -> Iterator[object]:
    return (event for block in stage.court.blocks for event in block.events)


def _list_honest(stage: Stage) -> set[int]:
    return {player.me for player in stage.players if player.me is not None}


def _list_calls(stage: Stage, senders: set[int]) -> list[Receipt]:
    """Their transactions to `Claims`."""
    return [r for r in stage.court.receipts if r.sender in senders and r.function.startswith("Claims.")]


def _list_strangers(stage: Stage) -> set[int]:
    """Who acted in `Claims` and is not honest."""
    senders = {receipt.sender for receipt in stage.court.receipts if receipt.function.startswith("Claims.")}
    return senders - _list_honest(stage)
