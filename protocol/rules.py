"""What a deployment fixes beyond the parameters: who signs marks, and where signatures are valid."""

from dataclasses import dataclass

from protocol.params import Params


@dataclass(frozen=True)
class Rules:
    """`domain` is the EIP-712 domain separator; `oracles` are addresses, ascending order not required."""

    params: Params
    domain: bytes
    oracles: tuple[int, ...]
