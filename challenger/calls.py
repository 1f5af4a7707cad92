"""Actions as calls of the claims contract or the inbox, with gas limits that never depend on an estimate."""

from typing import Any, NamedTuple

from challenger.events import (
    Action,
    AdvanceStake,
    Descend,
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
from protocol.keccak import ZERO

# Generous: at least twice what the full height takes. A proof gets all that a transaction may have (EIP-7825).
CLAIM_GAS = 1_000_000
MOVE_GAS = 700_000
PROVE_GAS = 1 << 24
SHORT_GAS = 500_000
QUEUE_GAS = 3_000_000  # of as many messages as one batch takes
LEAF_BYTES = 32


class Call(NamedTuple):
    """`value` in wei."""

    function: str
    arguments: tuple[Any, ...]
    value: int
    gas: int
    contract: str = "Claims"


def make_call(action: Action, stake_wei: int) -> Call:
    """`stake_wei` is sent along with a claim that pays a new stake."""
    match action:
        case PostClaim(parent, epoch, truth, stake_from):
            value = stake_wei if stake_from == ZERO else 0
            body = (parent, epoch, truth.post_root, truth.history, truth.nodes, truth.siblings, stake_from)
            return Call("claim", body, value, CLAIM_GAS)
        case Reveal(mine, other, node_other, nodes):
            return Call("reveal", (mine, other, node_other, nodes), 0, MOVE_GAS)
        case Descend(mine, other, difference, next_nodes):
            return Call("descend", (mine, other, tuple(difference), next_nodes), 0, MOVE_GAS)
        case Prove(mine, other, leaf_mine, leaf_other, arguments, path):
            gas = PROVE_GAS if len(arguments) > LEAF_BYTES else MOVE_GAS
            return Call("prove", (mine, other, leaf_mine, leaf_other, arguments, path), 0, gas)
        case Timeout(mine, other):
            return Call("timeout", (mine, other), 0, SHORT_GAS)
        case Promote(claim_id):
            return Call("promote", (claim_id,), 0, SHORT_GAS)
        case Reopen(parent):
            return Call("reopen", (parent,), 0, SHORT_GAS)
        case Finalize(claim_id):
            return Call("finalize", (claim_id,), 0, SHORT_GAS)
        case AdvanceStake(stake_id, child):
            return Call("advance_stake", (stake_id, child), 0, SHORT_GAS)
        case WithdrawStake(stake_id):
            return Call("withdraw_stake", (stake_id,), 0, SHORT_GAS)
        case WithdrawWork(claim_id):
            return Call("withdraw_work", (claim_id,), 0, SHORT_GAS)
        case PostQueue():
            return Call("post_queue", (), 0, QUEUE_GAS, "Inbox")
