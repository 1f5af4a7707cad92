"""Runs a step in Python, builds its witness, runs the contract on exactly those bytes, compares header and code exactly."""

import json
import random
import traceback
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyrevm
from eth_abi.abi import encode

from contracts.build import HERE, compile_artifact, compute_source_hash
from l1.deploy import list_rules
from protocol.codes import Code
from protocol.keccak import WORD, encode_word, keccak
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import MODULES
from protocol.types import Header, Phase, encode_header
from protocol.witness import prove_step
from sim.evm import SPEC, TX_GAS_LIMIT
from sim.twins.forge import falsify, mutate
from sim.twins.replay import Start, encode_case

OUT = Path(".out")
RULES_TYPE = f"({'uint256,' * 9}uint256[6],{'uint256,' * 9}bytes32,uint256,address[])"
BYTES_SHARE = 0.5  # of the forged witnesses: bytes changed at random; the others lie consistently
MAX_ARGUMENT_BYTES = 28_672  # what the judge takes
BASE_GAS = 21_000
FLOOR_PER_TOKEN = 10
TOKENS_PER_BYTE = 4  # of a byte that is not zero
CALLER = "0x" + "11" * 20
Raw = tuple[bytes | None, int, str]  # answer or None, gas, reason


class TwinsDiffer(AssertionError):
    """The message has what a person needs, the replay file what a machine needs."""


class Outcome(NamedTuple):
    """Of a step that both agree on. `gas` is a whole transaction's: 21,000, calldata with the floor price of EIP-7623, execution."""

    after: Header
    code: Code
    gas: int
    arguments: bytes


def encode_rules(rules: Rules) -> bytes:
    """The argument of every step's constructor."""
    return encode([RULES_TYPE], [list_rules(rules)])


def get_step_name(phase: Phase) -> str:
    """The stem that a step's module and contract share."""
    return MODULES[phase].__name__.rsplit(".", 1)[-1]


@cache
def load_step(name: str) -> dict[str, Any]:
    """The built artifact if it is of the present sources, else compiled here and kept for the next run."""
    source = HERE / "steps" / f"{name}.vy"
    source_hash = compute_source_hash(source)
    for folder in (HERE / "artifacts", OUT / "artifacts"):
        path = folder / f"{name}.json"
        if path.exists():
            artifact: dict[str, Any] = json.loads(path.read_text())
            if artifact["source_hash"] == source_hash:
                return artifact
    artifact = compile_artifact(source)
    (OUT / "artifacts").mkdir(parents=True, exist_ok=True)
    (OUT / "artifacts" / f"{name}.json").write_text(json.dumps(artifact))
    return artifact


class Twins:
    """One machine with the step contracts of each rule set, deployed when first asked for."""

    def __init__(self) -> None:
        self.evm = pyrevm.EVM(spec_id=SPEC, gas_limit=1 << 62)
        self.evm.set_block_env(pyrevm.BlockEnv(number=1, timestamp=1_700_000_000, gas_limit=1 << 62))
        self.evm.set_balance(CALLER, 10**30)
        self._deployed: dict[tuple[str, Rules], tuple[str, bytes]] = {}

    def _deploy(self, name: str, rules: Rules) -> tuple[str, bytes]:
        key = name, rules
        if key not in self._deployed:
            artifact = load_step(name)
            (selector,) = [item for signature, item in artifact["selectors"].items() if signature.startswith("step(")]
            code = bytes.fromhex(artifact["bytecode"]) + encode_rules(rules)
            self._deployed[key] = self.evm.deploy(CALLER, code), bytes.fromhex(selector)
        return self._deployed[key]

    def call(self, phase: Phase, arguments: bytes, rules: Rules) -> Raw:
        """The contract's answer, as a transaction of its own."""
        address, selector = self._deploy(get_step_name(phase), rules)
        try:
            answer = bytes(self.evm.message_call(CALLER, address, selector + arguments, gas=TX_GAS_LIMIT))
        except RuntimeError as error:
            return None, 0, str(error)
        result = self.evm.result
        if result is None:
            raise RuntimeError("the machine gave no result")
        return answer, max(int(result.gas_used), compute_floor_gas(selector + arguments)), ""

    def assert_twins(self, h: Header, state: State, pre: Preimages, rules: Rules, context: str = "") -> Outcome:
        """`state` and `pre` move on as in the step. Raises TwinsDiffer, after writing a replay file."""
        start = Start(h, state.copy(), pre.copy(), rules)
        h = h._replace(state=state.get_root())
        phase = Phase(h.phase)
        try:
            witness = prove_step(h, state, pre, rules)
        except Exception as error:
            raise self._report(context, start, {}, f"the Python step failed: {traceback.format_exc()}") from error
        expected = encode_header(witness.after) + encode_word(witness.code)
        answer, gas, reason = self.call(phase, witness.arguments, rules)
        extra = {"arguments": witness.arguments.hex(), "python": expected.hex(), "contract": (answer or b"").hex()}
        if answer is None:
            raise self._report(context, start, extra, f"the contract reverted, Python says {witness.code.name}: {reason}")
        if answer != expected:
            raise self._report(context, start, extra, describe_difference(witness.after, witness.code, answer))
        if len(witness.arguments) > MAX_ARGUMENT_BYTES:
            raise self._report(context, start, extra, f"{len(witness.arguments)} bytes of arguments: the judge does not take them")
        return Outcome(witness.after, witness.code, gas, witness.arguments)

    def assert_robust(self, start: Start, outcome: Outcome, rng: random.Random, context: str = "") -> bool:
        """A forged witness reverts, or leads to the same; raises TwinsDiffer otherwise. Returns whether it reverted."""
        arguments = mutate(outcome.arguments, rng) if rng.random() < BYTES_SHARE else falsify(start, outcome.arguments, rng)
        answer, _, _ = self.call(Phase(start.header.phase), arguments, start.rules)
        expected = encode_header(outcome.after) + encode_word(outcome.code)
        if answer is not None and answer != expected:
            extra = {"arguments": arguments.hex(), "python": expected.hex(), "contract": answer.hex()}
            message = "a forged witness decides: " + describe_difference(outcome.after, outcome.code, answer)
            raise self._report(context, start, extra, message)
        return answer is None

    def _report(self, context: str, start: Start, extra: dict[str, str], message: str) -> TwinsDiffer:
        text = json.dumps({"context": context, "message": message, **extra, **encode_case(start)}, indent=1)
        phase = Phase(start.header.phase)
        OUT.mkdir(exist_ok=True)
        path = OUT / f"twins-{phase.name.lower()}-{keccak(text.encode())[:4].hex()}.json"
        path.write_text(text)
        return TwinsDiffer(f"{phase.name} {context}: {message}\nreplay: python -m sim.twins --replay {path}")


def compute_floor_gas(calldata: bytes) -> int:
    """EIP-7623: the least that a transaction pays. This build of pyrevm does not know it."""
    zeros = calldata.count(0)
    return BASE_GAS + FLOOR_PER_TOKEN * (zeros + TOKENS_PER_BYTE * (len(calldata) - zeros))


def describe_difference(after: Header, code: Code, answer: bytes) -> str:
    """Field by field."""
    words = [answer[at : at + WORD] for at in range(0, len(answer), WORD)]
    expected = encode_header(after)
    lines = []
    for at, name in enumerate(Header._fields):
        ours = expected[at * WORD : (at + 1) * WORD]
        if at < len(words) and words[at] != ours:
            lines.append(f"{name}: Python {ours.hex()}, contract {words[at].hex()}")
    theirs = int.from_bytes(words[-1], "big") if words else None
    if theirs != code:
        lines.append(f"code: Python {code!r}, contract {theirs}")
    return "; ".join(lines) or f"{len(answer)} bytes of answer"


@cache
def get_twins() -> Twins:
    """The process's machine: deploying is most of the cost of a single comparison."""
    return Twins()


def assert_twins(h: Header, state: State, pre: Preimages, rules: Rules) -> Outcome:
    """Runs the step that the header asks for, by both. `h.state` is put right; `state` and `pre` move on. Raises TwinsDiffer."""
    return get_twins().assert_twins(h, state, pre, rules)
