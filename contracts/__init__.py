"""Vyper sources and the artifacts built from them, shipped as package data."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """A built contract. `selectors` maps a signature such as ``move(bytes32,bytes32)`` to its four bytes."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes  # init code; constructor arguments follow it
    runtime_size: int  # deployed, immutables included
    selectors: dict[str, bytes]

    def get_selector(self, function: str) -> bytes:
        """Of the only function of that name: KeyError if there is none, ValueError if there are several."""
        found = [selector for signature, selector in self.selectors.items() if signature.split("(")[0] == function]
        if not found:
            raise KeyError(f"{self.name} has no function {function}")
        (selector,) = found
        return selector


@cache
def load_artifact(name: str) -> Artifact:
    """The artifact of ``contracts/l1/<name>.vy`` or ``contracts/steps/<name>.vy``; FileNotFoundError if it was never built."""
    data = json.loads(files(__package__).joinpath("artifacts", f"{name}.json").read_text())
    return Artifact(
        name=data["name"],
        abi=tuple(data["abi"]),
        bytecode=bytes.fromhex(data["bytecode"]),
        runtime_size=data["runtime_size"],
        selectors={signature: bytes.fromhex(selector) for signature, selector in data["selectors"].items()},
    )
