"""What the events told, beside what the contract says at the same block.

A challenger knows claims, moves and forced messages by their events alone. An endpoint that leaves one out, by a lie or a broken index,
would otherwise be found out only when the claim that it hides is final.
"""

from functools import reduce

from challenger.board import Board, Status
from challenger.epochs import Link
from l1.client import Client
from l1.contracts import get_claim, get_duel, get_position, read
from protocol.keccak import ZERO


class Hidden(Exception):
    """The endpoint's events are not all that happened: the session starts anew and reads them again."""


async def audit(client: Client, claims: bytes, board: Board, links: tuple[Link, ...]) -> None:
    """Of the positions on the right path, and of the groups and duels of right claims. Raises `Hidden`; `Unavailable` and `RpcError` if
    the endpoint does not say.
    """
    for link in links:
        said = await get_position(client, claims, link.parent, board.header.hash)
        count = link.position.bracket.count if link.position else 0
        if (said.position, said.count) != (board.current.get(link.parent, link.parent), count):
            raise Hidden(f"epoch {link.epoch}: {count} claims by the events, {said.count} by the contract, or another position")
        if link.status is not None:
            await _audit_claim(client, claims, board, link)
        if link.status == Status.PENDING:
            await _audit_group(client, claims, board, link)


async def audit_queue(client: Client, inbox: bytes, board: Board) -> None:
    """Of the forced messages: those that wait are posted when nobody else does. Raises as `audit` does."""
    (count,) = await read(client, "Inbox", inbox, "message_count", (), board.header.hash)
    (consumed,) = await read(client, "Inbox", inbox, "messages_consumed", (), board.header.hash)
    if (consumed, count) != (board.consumed, board.consumed + len(board.waiting)):
        raise Hidden(f"{len(board.waiting)} messages wait by the events, {count - consumed} by the contract, or others")


async def _audit_claim(client: Client, claims: bytes, board: Board, link: Link) -> None:
    said = await get_claim(client, claims, link.claim_id, board.header.hash)
    is_alive, is_final = link.status != Status.DEAD, link.status == Status.FINAL
    if (said.round, said.is_alive, said.is_final) != (board.claims[link.claim_id].round, is_alive, is_final):
        raise Hidden(f"epoch {link.epoch}: the right claim has moved up, died or become final, and no event says so")


async def _audit_group(client: Client, claims: bytes, board: Board, link: Link) -> None:
    claim = board.claims[link.claim_id]
    round_, number = board.get_place(claim)
    ((alive, survivors),) = await read(client, "Claims", claims, "get_group", (claim.position, round_, number), board.header.hash)
    group = (claim.id, *link.rivals)
    if (alive, survivors) != (len(group), reduce(_xor, group, ZERO)):
        raise Hidden(f"epoch {link.epoch}: others are alive in the right claim's group than the events say")
    for rival in link.rivals:
        said = await get_duel(client, claims, claim.id, rival, board.header.hash)
        duel = board.get_duel(claim.id, rival)
        if (said.round, said.index, said.since, said.revealed) != (duel.round, duel.index, duel.since, duel.revealed):
            raise Hidden(f"epoch {link.epoch}: a move of a duel is not among the events")


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
