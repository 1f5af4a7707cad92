"""Vyper sources of this checkout on a real EVM, and the gas that they use."""

from functools import cache
from pathlib import Path
from typing import Any

import pyrevm
from eth_abi.abi import decode, encode
from vyper import compile_code
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.settings import OptimizationLevel, Settings

ROOT = Path(__file__).resolve().parent.parent.parent
CALLER = "0x" + "11" * 20
MAX_CODE_BYTES = 24_576

HARNESSES = {
    "inflate": """
from contracts.lib import inflate
@external
@pure
def run(data: Bytes[8256]) -> (bool, Bytes[8544]):
    return inflate._inflate(data)
""",
    "rows": """
from contracts.lib import rows as codec
@external
@pure
def run(rows: Bytes[8192], offset: uint256) -> (bool, DynArray[uint256, 128], uint256):
    return codec._decode_row(rows, offset)
""",
}


class Contract:
    """One deployed contract on an EVM of its own."""

    def __init__(self, source: str, path: Path, constructor: bytes = b"") -> None:
        out = compile_code(
            source,
            output_formats=["bytecode", "bytecode_runtime", "method_identifiers"],
            input_bundle=FilesystemInputBundle([ROOT]),
            settings=Settings(optimize=OptimizationLevel.GAS),
            contract_path=path,
            resolved_path=path,
        )
        self.code_bytes = (len(out["bytecode_runtime"]) - 2) // 2
        self.selectors = {name.split("(")[0]: int(selector, 16) for name, selector in out["method_identifiers"].items()}
        self.evm = pyrevm.EVM(gas_limit=2**40, spec_id="PRAGUE")
        self.evm.set_balance(CALLER, 10**30)
        self.address = self.evm.deploy(CALLER, bytes.fromhex(out["bytecode"][2:]) + constructor)

    def call(self, name: str, arguments: bytes) -> bytes:
        """Raises RuntimeError where the contract reverts."""
        return bytes(self.evm.message_call(CALLER, self.address, calldata=self.selectors[name].to_bytes(4, "big") + arguments))

    @property
    def gas(self) -> int:
        """Of the last call, calldata and the transaction's base included."""
        result = self.evm.result
        assert result is not None, "no call yet"
        return int(result.gas_used)


@cache
def get_harness(name: str) -> Contract:
    """A library's function as the only function of a contract."""
    return Contract(HARNESSES[name], ROOT / "tests" / "codec" / f"{name}.vy")


@cache
def get_step(name: str, constructor: bytes) -> Contract:
    """A step contract, deployed with these ABI-encoded arguments."""
    path = ROOT / "contracts" / "steps" / f"{name}.vy"
    return Contract(path.read_text(), path, constructor)


def inflate(data: bytes) -> bytes | None:
    """`contracts/lib/inflate.vy` in the types of its Python twin."""
    ok, rows = decode(["bool", "bytes"], get_harness("inflate").call("run", encode(["bytes"], [data])))
    assert ok or rows == b""
    return rows if ok else None


def decode_row(rows: bytes, offset: int) -> tuple[tuple[int, ...] | None, int]:
    """`contracts/lib/rows.vy` in the types of its Python twin."""
    answer: tuple[Any, ...] = decode(
        ["bool", "uint256[]", "uint256"], get_harness("rows").call("run", encode(["bytes", "uint256"], [rows, offset]))
    )
    ok, items, following = answer
    assert ok or items == ()
    return (items if ok else None), following
