"""The judge over the real steps: of every phase the dearest start that we know, through the one door that a dispute uses."""

import pytest

from contracts import load_artifact
from l1.deploy import STEP_NAMES, STEPS, list_rules
from protocol.params import MAINNET
from protocol.types import Phase, compute_header_leaf
from protocol.witness import prove_step
from sim.evm import Contract, Evm, Reverted
from sim.twins.dice import make_rules
from sim.twins.runner import MAX_ARGUMENT_BYTES
from sim.twins.worst import make_all_worst

RULES = make_rules(MAINNET)
MAX_RUN_GAS = 10_000_000
SHARES = (50, 90, 99)  # per cent of the gas that a step takes


@pytest.fixture(scope="module")
def evm() -> Evm:
    return Evm()


@pytest.fixture(scope="module")
def judge(evm: Evm) -> Contract:
    deployer = evm.create_account()
    steps = {name: evm.deploy(deployer, load_artifact(name), list_rules(RULES)) for name in STEP_NAMES}
    selectors = [load_artifact(STEPS[phase]).get_selector("step") for phase in Phase]
    return evm.deploy(deployer, load_artifact("Judge"), [steps[STEPS[phase]].address for phase in Phase], selectors)


def test_every_kind_of_step_is_judged_within_its_bounds(evm: Evm, judge: Contract) -> None:
    """The leaf before and the right leaf after, or nothing: with bytes behind, with a byte too many, with too little gas."""
    caller, seen = evm.create_account(), set()
    for header, state, pre, rules in make_all_worst(RULES):
        h = header._replace(state=state.get_root())
        witness = prove_step(h, state, pre, rules)
        right = compute_header_leaf(h), compute_header_leaf(witness.after)
        result = evm.transact(caller, judge, "run", witness.arguments)
        assert result.value == right
        assert result.gas_used <= MAX_RUN_GAS
        most = witness.arguments.ljust(MAX_ARGUMENT_BYTES, b"\xff")
        assert evm.call(judge, "run", most) == right
        with pytest.raises(Reverted):
            evm.call(judge, "run", most + b"\0")
        for share in SHARES:
            with pytest.raises(Reverted):
                evm.call(judge, "run", witness.arguments, gas=result.gas_used * share // 100)
        seen.add(Phase(h.phase))
    assert seen == set(Phase)


def test_a_header_without_a_phase_has_no_step(evm: Evm, judge: Contract) -> None:
    header, state, pre, rules = make_all_worst(RULES)[0]
    arguments = prove_step(header._replace(state=state.get_root()), state, pre, rules).arguments
    for phase in (len(Phase), 2**255, 2**256 - 1):
        with pytest.raises(Reverted, match="no such phase"):
            evm.call(judge, "run", arguments[: 14 * 32] + phase.to_bytes(32, "big") + arguments[15 * 32 :])
    with pytest.raises(Reverted):
        evm.call(judge, "run", arguments[:511])
