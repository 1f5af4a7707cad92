"""Who moves when several honest parties could: so that usually one pays for a move, and none is missed.

The claimant of the right claim is first, at once: its work is paid best. Others follow each after a wait of its own, drawn from its address
and the move. The wait lies within the first half of the grace, which is free; so whoever is second still moves in time if the first is slow
or dead, and is quiet as soon as a block shows the move.
"""

from challenger.state import FAR, Settings, Turn
from protocol.keccak import encode_word, keccak

PARTS = 1 << 16


def compute_turn(settings: Settings, name: str, claimant: int, free_from: int = FAR) -> Turn | None:
    """Ours to do what `name` says for a claim of `claimant` (0: it has none yet); None: at once.

    `free_from` is when the grace began, if waiting ever costs anything.
    """
    me, grace = settings.me, settings.params.grace_s
    if not settings.takes_turns or me is None or me == claimant:
        return None
    share = int.from_bytes(keccak(encode_word(me) + name.encode())[:2], "big")
    least = grace >> 2 if claimant else 0  # the claimant comes first
    wait_s = least + ((grace >> 1) - least) * share // PARTS
    return Turn(wait_s, min(FAR, free_from + (grace >> 1)))
