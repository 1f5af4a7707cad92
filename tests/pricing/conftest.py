"""The libraries behind an external contract, on a real EVM."""

from pathlib import Path
from typing import Any

import pyrevm
import pytest
from eth_abi.abi import decode, encode
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.settings import OptimizationLevel, Settings

from protocol.keccak import keccak

ROOT = Path(__file__).resolve().parents[2]
CALLER = "0x" + "11" * 20


def _spell_type(item: dict[str, Any]) -> str:
    name: str = item["type"]
    if name.startswith("tuple"):
        return "(" + ",".join(_spell_type(part) for part in item["components"]) + ")" + name[5:]
    return name


class Harness:
    """Calls a function by name; `gas` is what the last call burned, without the transaction's own cost and calldata."""

    def __init__(self, bytecode: str, runtime: str, abi: list[dict[str, Any]]) -> None:
        self.size = len(runtime) // 2 - 1
        self.gas = 0
        self._evm = pyrevm.EVM(gas_limit=1 << 40, spec_id="CANCUN")
        self._evm.set_balance(CALLER, 10**30)
        self._address = self._evm.deploy(CALLER, bytes.fromhex(bytecode[2:]))
        self._functions = {}
        for item in abi:
            inputs = [_spell_type(part) for part in item["inputs"]]
            outputs = [_spell_type(part) for part in item["outputs"]]
            self._functions[item["name"]] = (keccak(f"{item['name']}({','.join(inputs)})".encode())[:4], inputs, outputs)

    def call(self, name: str, *args: Any) -> Any:
        """The decoded outputs: a tuple, or the only one."""
        selector, inputs, outputs = self._functions[name]
        answer = self._evm.message_call(CALLER, self._address, calldata=selector + encode(inputs, args), gas=30_000_000)
        assert self._evm.result is not None
        self.gas = self._evm.result.gas_used
        values = decode(outputs, answer)
        return values if len(values) > 1 else values[0]


@pytest.fixture(scope="session")
def harness() -> Harness:
    """Compiled as the step contracts are."""
    bundle = FilesystemInputBundle([ROOT])
    settings = Settings(evm_version="cancun", optimize=OptimizationLevel.GAS, experimental_codegen=False)
    output = compile_from_file_input(
        bundle.load_file("tests/pricing/harness.vy"),
        input_bundle=bundle,
        settings=settings,
        output_formats=["bytecode", "bytecode_runtime", "abi"],
    )
    return Harness(output["bytecode"], output["bytecode_runtime"], output["abi"])
