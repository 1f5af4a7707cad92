"""What a deployment fixes beyond the parameters: who signs marks, where signatures are valid, and with what the rules compute."""

from dataclasses import dataclass

from protocol.kernel import REFERENCE, Kernel
from protocol.params import Params


@dataclass(frozen=True)
class Rules:
    """`domain` is the EIP-712 domain separator; `oracles` are addresses in the order in which a quorum signs."""

    params: Params
    domain: bytes
    oracles: tuple[int, ...]
    kernel: Kernel = REFERENCE
