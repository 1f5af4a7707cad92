"""A proof with too little gas: wherever in the real step it runs out, in a precompile too, the result is right or there is none."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contracts import load_artifact
from l1.deploy import list_rules
from protocol.codec.frames import Frame, encode_payload
from protocol.params import MAINNET
from protocol.rules import Rules
from protocol.types import Phase, compute_header_leaf
from protocol.witness import prove_step
from sim.evm import Evm, Reverted
from sim.twins.dice import make_rules
from sim.twins.replay import Start
from sim.twins.worst import make_worst_mark, make_worst_settle, make_worst_signed
from tests.contracts.world import World

RULES = make_rules(MAINNET)
TX_GAS = 21_000
EVERY = 61  # gas; a precompile takes 3,000 (ecrecover) or 15 and 3 a word (identity), so that each is starved many times
LAST = 200  # below and above what is needed, every single limit is tried
STARTS: dict[str, Callable[[Rules], Start]] = {  # the rows with a quorum's signatures, and one with one
    "mark": make_worst_mark,
    "settle": make_worst_settle,
    "cancel": lambda rules: make_worst_signed(rules, Phase.CANCEL),
}


def price_calldata(data: bytes) -> int:
    """What is gone before the first instruction."""
    return TX_GAS + 4 * data.count(0) + 16 * (len(data) - data.count(0))


def list_limits(start: int, used: int, most: int) -> Iterator[int]:
    """From what calldata costs to `most`; closer where it just suffices, or not."""
    yield from range(start, most, EVERY)
    yield from range(used - LAST, used + LAST)


@pytest.mark.parametrize("name", STARTS)
def test_real_step__any_gas_limit__right_leaf_or_a_revert(name: str) -> None:
    """The judge has a 64th left after a step that starved: enough to hash an answer, so that it must know that there is none."""
    evm = Evm()
    deployer = evm.create_account()
    header, state, pre, rules = STARTS[name](RULES)
    h = header._replace(state=state.get_root())
    witness = prove_step(h, state, pre, rules)
    right = compute_header_leaf(h), compute_header_leaf(witness.after)
    artifact = load_artifact(name)
    step = evm.deploy(deployer, artifact, list_rules(RULES))
    selectors = [artifact.get_selector("step")] * len(Phase)
    judge = evm.deploy(deployer, load_artifact("Judge"), [step.address] * len(Phase), selectors)
    used = evm.transact(deployer, judge, "run", witness.arguments).gas_used
    start = price_calldata(judge.encode("run", witness.arguments))
    outcomes: dict[int, Any] = {}
    for gas in list_limits(start, used, used + (used - start) // 8):
        try:
            outcomes[gas] = evm.call(judge, "run", witness.arguments, gas=gas)
        except Reverted:
            outcomes[gas] = None
    assert set(outcomes.values()) == {None, right}
    enough = min(gas for gas, answer in outcomes.items() if answer == right)
    assert all((answer == right) == (gas >= enough) for gas, answer in outcomes.items())
    assert used <= enough < used + (used - start) // 16


def test_post__any_gas_limit__right_record_or_none() -> None:
    """Frames of a short batch are read through the identity precompile."""
    world = World()
    payload = encode_payload([Frame(world.evm.timestamp, b"data", b"\x01" * 65), Frame(world.evm.timestamp, b"more", b"")])
    args = 0, world.evm.timestamp, world.evm.timestamp, 0, 2

    def post(gas: int) -> tuple[dict[str, Any], int]:
        result = world.evm.transact(world.sequencer, world.inbox, "post", *args, extra_calldata=payload, gas=gas)
        return result.get_event("BatchPosted"), result.gas_used

    def attempt(gas: int) -> dict[str, Any] | None:
        snapshot = world.evm.take_snapshot()
        try:
            return post(gas)[0]
        except Reverted:
            assert world.evm.call(world.inbox, "batch_count") == 0
            return None
        finally:
            world.evm.restore(snapshot)

    snapshot = world.evm.take_snapshot()
    right, used = post(1 << 24)
    world.evm.restore(snapshot)
    start = price_calldata(world.inbox.encode("post", *args) + payload)
    outcomes = {gas: attempt(gas) for gas in list_limits(start, used, 2 * used)}
    assert all(outcome in (None, right) for outcome in outcomes.values())
    enough = min(gas for gas, outcome in outcomes.items() if outcome == right)
    assert all((outcome == right) == (gas >= enough) for gas, outcome in outcomes.items())
