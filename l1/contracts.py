"""Bindings of Straddle's contracts: events as dataclasses, calldata of the calls, views.

Units and meaning are in docs/contracts.md and docs/dispute.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from l1.abi import decode_event, decode_result, encode_call, get_function
from l1.client import BlockRef, Client
from l1.shapes import Log, Malformed
from protocol.codec.frames import Frame, decode_payload, encode_payload
from protocol.keccak import encode_words

POST_WORDS = 5  # number, first, last, message count, frame count

# -- events: fields are named and ordered as in the sources


@dataclass(frozen=True, slots=True)
class BatchPosted:
    number: int
    epoch: int
    index: int
    first: int
    last: int
    message_start: int
    message_count: int
    messages: bytes
    frame_count: int
    frames: bytes


@dataclass(frozen=True, slots=True)
class MessageQueued:
    index: int
    authority: int
    time: int
    rows: bytes
    signatures: bytes


@dataclass(frozen=True, slots=True)
class AccountOpened:
    index: int
    owner: int


@dataclass(frozen=True, slots=True)
class Deposited:
    index: int
    owner: int
    amount: int
    message: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    index: int
    owner: int
    amount: int
    claim_id: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    claim_id: bytes
    parent: bytes
    position: bytes
    epoch: int
    post_root: bytes
    history: bytes
    nodes: tuple[bytes, ...]
    claimant: int
    stake_id: bytes
    close: int


@dataclass(frozen=True, slots=True)
class Revealed:
    mine: bytes
    other: bytes
    round: int
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Descended:
    low: bytes
    high: bytes
    round: int
    index: int
    node_low: bytes
    node_high: bytes


@dataclass(frozen=True, slots=True)
class StepProven:
    leaf_before: bytes
    leaf_after: bytes


@dataclass(frozen=True, slots=True)
class ClaimDied:
    claim_id: bytes
    position: bytes


@dataclass(frozen=True, slots=True)
class ClaimPromoted:
    claim_id: bytes
    position: bytes
    round: int


@dataclass(frozen=True, slots=True)
class ClaimWon:
    claim_id: bytes
    position: bytes


@dataclass(frozen=True, slots=True)
class PositionReopened:
    parent: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class ClaimFinal:
    claim_id: bytes
    parent: bytes
    epoch: int
    post_root: bytes


@dataclass(frozen=True, slots=True)
class StakeMoved:
    stake_id: bytes
    tip: bytes


@dataclass(frozen=True, slots=True)
class StakeWithdrawn:
    stake_id: bytes
    owner: int
    amount: int


@dataclass(frozen=True, slots=True)
class WorkCredited:
    claim_id: bytes
    worker: int
    amount: int


@dataclass(frozen=True, slots=True)
class WorkPaid:
    claim_id: bytes
    worker: int
    amount: int


InboxEvent = BatchPosted | MessageQueued
VaultEvent = AccountOpened | Deposited | Withdrawn
ClaimsEvent = (
    Claimed
    | Revealed
    | Descended
    | StepProven
    | ClaimDied
    | ClaimPromoted
    | ClaimWon
    | PositionReopened
    | ClaimFinal
    | StakeMoved
    | StakeWithdrawn
    | WorkCredited
    | WorkPaid
)
Event = InboxEvent | VaultEvent | ClaimsEvent

EVENTS: dict[str, dict[str, Any]] = {
    "Inbox": {kind.__name__: kind for kind in (BatchPosted, MessageQueued)},
    "Vault": {kind.__name__: kind for kind in (AccountOpened, Deposited, Withdrawn)},
    "Claims": {
        kind.__name__: kind
        for kind in (
            Claimed,
            Revealed,
            Descended,
            StepProven,
            ClaimDied,
            ClaimPromoted,
            ClaimWon,
            PositionReopened,
            ClaimFinal,
            StakeMoved,
            StakeWithdrawn,
            WorkCredited,
            WorkPaid,
        )
    },
}


def decode_logs(names: Mapping[bytes, str], logs: Sequence[Log]) -> list[tuple[Log, Event]]:
    """Events in order. `names` gives the contract's name by address; logs of other addresses, and unknown events, are `Malformed`:
    only a lie of the endpoint or another deployment can bring them."""
    found: list[tuple[Log, Event]] = []
    for log in logs:
        name = names.get(log.address)
        decoded = None if name is None else decode_event(name, log)
        if name is None or decoded is None:
            raise Malformed("a log that no contract of ours emits")
        event, fields = decoded
        found.append((log, EVENTS[name][event](**fields)))
    return found


# -- inbox


class PostCall(NamedTuple):
    """What a batch's transaction carries."""

    number: int
    first: int
    last: int
    message_count: int
    frames: tuple[Frame, ...]


def encode_post(number: int, first: int, last: int, message_count: int, frames: Sequence[Frame]) -> bytes:
    """Raises ValueError for frames that L1 refuses. It lands as batch `number` or not at all."""
    arguments = encode_words((number, first, last, message_count, len(frames)))
    return get_function("Inbox", "post")[0] + arguments + encode_payload(frames)


def decode_post(data: bytes) -> PostCall:
    """From the input of the transaction that emitted `BatchPosted`. Anything else is `Malformed`: the inbox takes nothing else."""
    start = 4 + 32 * POST_WORDS
    if data[:4] != get_function("Inbox", "post")[0] or len(data) < start:
        raise Malformed("not a call of post")
    *call, frame_count = (int.from_bytes(data[at : at + 32], "big") for at in range(4, start, 32))
    frames = decode_payload(data[start:], frame_count)
    if frames is None:
        raise Malformed("broken frames in a call of post")
    number, first, last, message_count = call
    return PostCall(number, first, last, message_count, frames)


def encode_send(rows: bytes, signatures: bytes) -> bytes:
    """Costs `fee()` wei."""
    return encode_call("Inbox", "send", (rows, signatures))


def encode_post_queue() -> bytes:
    """Anyone's, once a message is overdue."""
    return encode_call("Inbox", "post_queue", ())


def encode_shutdown() -> bytes:
    """Anyone's, once the sequencer has been silent for too long."""
    return encode_call("Inbox", "shutdown", ())


# -- token and vault


def encode_mint(to: int, amount: int) -> bytes:
    """Devnet token only. 1e-6 USD, like every amount here."""
    return encode_call("Token", "mint", (to, amount))


def encode_approve(spender: int, amount: int) -> bytes:
    return encode_call("Token", "approve", (spender, amount))


def encode_deposit(amount: int) -> bytes:
    return encode_call("Vault", "deposit", (amount,))


def encode_withdraw(claim_id: bytes, index: int, owner: int, amount: int, proof: Sequence[bytes]) -> bytes:
    return encode_call("Vault", "withdraw", (claim_id, index, owner, amount, list(proof)))


# -- claims


@dataclass(frozen=True, slots=True)
class ClaimView:
    """`get_claim`."""

    position: bytes
    parent: bytes
    epoch: int
    post_root: bytes
    claimant: int
    seed: int
    round: int
    is_alive: bool
    is_final: bool


@dataclass(frozen=True, slots=True)
class PositionView:
    """`get_position`: the claims that share a parent. `close` 0: none yet; `winner` zero: none yet."""

    position: bytes
    generation: int
    epoch: int
    close: int
    rounds: int
    count: int
    winner: bytes


@dataclass(frozen=True, slots=True)
class DuelView:
    """`get_duel`. `revealed`: bit 0 for a, bit 1 for b. `pair`: hash of the two disputed nodes, that of the smaller id first."""

    round: int
    index: int
    since: int
    left_a: int
    left_b: int
    revealed: int
    pair: bytes
    is_out_a: bool
    is_out_b: bool


def encode_claim(
    parent: bytes, epoch: int, post_root: bytes, history: bytes, nodes: Sequence[bytes], siblings: Sequence[bytes], stake_from: bytes
) -> bytes:
    """With `stake_from` zero the stake is sent along."""
    return encode_call("Claims", "claim", (parent, epoch, post_root, history, list(nodes), list(siblings), stake_from))


def encode_finalize(claim_id: bytes) -> bytes:
    return encode_call("Claims", "finalize", (claim_id,))


def encode_advance_stake(stake_id: bytes, child: bytes) -> bytes:
    return encode_call("Claims", "advance_stake", (stake_id, child))


def encode_withdraw_stake(stake_id: bytes) -> bytes:
    return encode_call("Claims", "withdraw_stake", (stake_id,))


# -- views


async def read(
    client: Client, name: str, address: bytes, function: str, arguments: Sequence[Any] = (), ref: BlockRef = "latest"
) -> tuple[Any, ...]:
    """Any view, as a tuple. A revert is an `RpcError` with its data."""
    return decode_result(name, function, await client.call(address, encode_call(name, function, arguments), ref))


async def get_claim(client: Client, claims: bytes, claim_id: bytes, ref: BlockRef = "latest") -> ClaimView:
    """Reverts if there is none."""
    return ClaimView(*await read(client, "Claims", claims, "get_claim", (claim_id,), ref))


async def get_position(client: Client, claims: bytes, parent: bytes, ref: BlockRef = "latest") -> PositionView:
    return PositionView(*await read(client, "Claims", claims, "get_position", (parent,), ref))


async def get_duel(client: Client, claims: bytes, a: bytes, b: bytes, ref: BlockRef = "latest") -> DuelView:
    return DuelView(*await read(client, "Claims", claims, "get_duel", (a, b), ref))


async def get_epoch(client: Client, inbox: bytes, epoch: int, ref: BlockRef = "latest") -> tuple[bytes, int]:
    """Root and number of batches; zero batches: nothing posted."""
    root, count = await read(client, "Inbox", inbox, "get_epoch", (epoch,), ref)
    return root, count
