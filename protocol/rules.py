"""What a deployment fixes beyond the parameters: who signs marks, where signatures are valid, and with what the rules compute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.margin import Margin, compute_margin
from protocol.params import Params
from protocol.signing import get_signer
from protocol.types import Market, Position


@dataclass(frozen=True)
class Kernel:
    """The two costly pure functions. A leap brings faster ones that give the same, bit for bit."""

    get_signer: Callable[[bytes, bytes | None], int] = get_signer
    compute_margin: Callable[[int, Sequence[Position], Sequence[Market]], Margin] = compute_margin


@dataclass(frozen=True)
class Rules:
    """`domain` is the EIP-712 domain separator; `oracles` are addresses in the order in which a quorum signs."""

    params: Params
    domain: bytes
    oracles: tuple[int, ...]
    kernel: Kernel = Kernel()
