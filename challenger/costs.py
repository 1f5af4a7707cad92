"""What a transaction takes, and what it brings in if the claim that it is for ends well: by the figures that are committed.

For the log, and for wages that cost more than they are. It decides about no other move: a stake hangs on each, and others' money.
"""

from challenger.board import Board
from challenger.events import (
    Action,
    AdvanceStake,
    Descend,
    Estimate,
    Finalize,
    PostClaim,
    PostQueue,
    Promote,
    Prove,
    Reopen,
    Reveal,
    Timeout,
    WithdrawStake,
    WithdrawWork,
)
from l1.sender_queue import Policy
from protocol.keccak import ZERO

GAS = {  # by the names of `contracts/snapshots/gas.json`, at a height of 28
    "claim: opens the position": 236_000,
    "claim: a rival": 179_000,
    "claim: on a moved stake": 259_000,  # and opens the position
    "descend 1": 148_000,
    "descend 2": 100_000,
    "descend 3": 82_000,  # and all that follow but the last
    "descend 7": 59_000,
    "descend, without a reveal": 126_000,
    "reveal": 69_000,
    "prove, without the step": 147_000,
    "timeout": 68_000,
    "promote": 112_000,
    "reopen": 53_000,
    "finalize": 76_000,
    "withdraw_work": 63_000,
    "withdraw_stake": 39_000,
    "advance_stake": 41_000,
    "post_queue: 4 messages": 161_000,
}
STEP_BYTE_GAS = 10  # a byte of its arguments: most of what a common step does is read them. The dearest takes six million more
TIP = Policy().min_tip  # wei a gas; less than what L1 pays of tips
MAX_GAS_PRICE = 50 * 10**9  # wei; what L1 pays for work at most
PAID_PERCENT = 85  # of what a call costs: bytes that are not zero are paid like zeros
BONUS_PERCENT = 150  # of that, to the claimant


def estimate(board: Board, me: int, action: Action) -> Estimate:
    """At the base fee of the board's block and the least tip. Claims of the action are on the board."""
    gas = estimate_gas(board, action)
    return Estimate(gas, gas * (board.header.base_fee + TIP), _estimate_gain(board, me, action, gas))


def estimate_gas(board: Board, action: Action) -> int:
    """Of a common transaction of its kind."""
    match action:
        case PostClaim(parent, stake_from=stake):
            moved = GAS["claim: on a moved stake"] - GAS["claim: opens the position"] if stake != ZERO else 0
            return moved + GAS["claim: opens the position" if board.get_position(parent) is None else "claim: a rival"]
        case Descend(mine, other, _, following):
            return _estimate_descent(board.get_duel(mine, other).round, board.params.rounds, bool(following))
        case Reveal():
            return GAS["reveal"]
        case Prove(arguments=arguments):
            return GAS["prove, without the step"] + STEP_BYTE_GAS * len(arguments)
        case Timeout():
            return GAS["timeout"]
        case Promote():
            return GAS["promote"]
        case Reopen():
            return GAS["reopen"]
        case Finalize():
            return GAS["finalize"]
        case AdvanceStake():
            return GAS["advance_stake"]
        case WithdrawStake():
            return GAS["withdraw_stake"]
        case WithdrawWork():
            return GAS["withdraw_work"]
        case PostQueue():
            return GAS["post_queue: 4 messages"]


def _estimate_descent(number: int, rounds: int, reveals: bool) -> int:
    if number + 1 == rounds:
        return GAS["descend 7"]
    if number == 0:
        return GAS["descend 1" if reveals else "descend, without a reveal"]
    return GAS["descend 2" if number == 1 else "descend 3"]


def _estimate_gain(board: Board, me: int, action: Action, gas: int) -> int:
    """Wei. Each wage is counted with the move that earns it."""
    price = min(board.header.base_fee + TIP, MAX_GAS_PRICE)
    match action:
        case PostClaim(parent):  # beside rivals, who pay for it and for both payouts; a claim that nobody contests is paid by nobody
            return (gas + GAS["withdraw_stake"] + GAS["withdraw_work"]) * price if board.get_position(parent) is not None else 0
        case Descend(mine) | Reveal(mine) | Prove(mine) | Timeout(mine) | Promote(mine):
            return _compute_credit(board, me, mine, gas * price)
        case Finalize(claim_id):
            has_rivals = board.positions[board.claims[claim_id].position].bracket.count > 1
            return _compute_credit(board, me, claim_id, gas * price) if has_rivals else 0
        case WithdrawStake():
            return board.params.stake_wei
        case WithdrawWork(claim_id):
            return compute_wage(board, claim_id, me)
        case AdvanceStake() | Reopen() | PostQueue():
            return 0


def _compute_credit(board: Board, me: int, claim_id: bytes, cost: int) -> int:
    paid = cost * PAID_PERCENT // 100
    return paid * BONUS_PERCENT // 100 if board.claims[claim_id].claimant == me else paid


def compute_wage(board: Board, claim_id: bytes, me: int) -> int:
    """Wei that a withdrawal of our work for a final claim would bring: what we are owed, as far as its pot goes."""
    return min(board.get_work(me).get(claim_id, 0), board.get_pot(board.claims[claim_id]))


def is_worth_taking(board: Board, claim_id: bytes, me: int) -> bool:
    """Our wages for a final claim are more than it takes to have them paid out."""
    result = estimate(board, me, WithdrawWork(claim_id))
    return result.gain > result.cost
