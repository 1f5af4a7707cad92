"""Every lie loses on the real contracts, by the step that it is about."""

import pytest

from contracts import load_artifact
from protocol.history import History
from protocol.params import DEVNET, MINIMAL, Params
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Phase
from sim.baits import START, make_epoch
from sim.court import Court
from sim.villains.lies import LIES, Lie

HONEST, VILLAIN = 0xA11CE, 0xBAD
MAX_TRANSACTIONS = 18
MAX_GAS = 1_800_000  # of a dispute without its step


class Dispute:
    """One lie against the truth, both played to the end."""

    def __init__(self, params: Params, lie: Lie) -> None:
        self.court = court = Court(params, load_artifact, START)
        scribe, batches = make_epoch(params, lie.bait, court.domain)
        assert scribe.rules == court.rules
        self.epoch = court.post_epoch(batches)
        self.truth = History(Machine(State(params), batches, court.rules))
        self.false = History(Machine(State(params), batches, court.rules, lie.steps))
        wrong = court.claim(VILLAIN, court.genesis, self.epoch, self.false)
        right = court.claim(HONEST, court.genesis, self.epoch, self.truth)
        self.wrong: bytes = wrong.value
        self.right: bytes = right.value
        self.gas = [wrong.gas_used, right.gas_used]

    def play(self) -> int:
        """All rounds, in turn; the index of the disputed step."""
        court = self.court
        sides = [(HONEST, self.right, self.truth, self.wrong, self.false), (VILLAIN, self.wrong, self.false, self.right, self.truth)]
        while court.call("Claims", "get_duel", self.right, self.wrong)[0] < court.params.rounds:
            self.gas.append(court.move(*sides[0]).gas_used)
            sides.reverse()
        return int(court.call("Claims", "get_duel", self.right, self.wrong)[1])

    def prove(self) -> None:
        """Only the gas around the step is counted."""
        arguments = self.truth.prove_step(self.play_index).arguments
        step = self.court.evm.transact(self.court.sequencer, self.court.contracts["Judge"], "run", arguments).gas_used
        result = self.court.prove(HONEST, self.right, self.truth, self.wrong)
        self.gas.append(result.gas_used - step)  # both have paid for its calldata

    def settle(self) -> None:
        """The truth is final, and everybody is paid or not."""
        court = self.court
        court.set_time(max(court.now, court.get_position(court.genesis).close))
        self.gas.append(court.transact(HONEST, "Claims", "finalize", self.right).gas_used)
        self.gas.append(court.transact(HONEST, "Claims", "withdraw_stake", self.right).gas_used)
        self.gas.append(court.transact(HONEST, "Claims", "withdraw_work", self.right).gas_used)

    def run(self) -> int:
        """Index of the disputed step."""
        self.play_index = self.play()
        self.prove()
        assert not self.court.call("Claims", "is_alive", self.wrong)
        assert self.court.call("Claims", "is_alive", self.right)
        self.settle()
        assert self.court.call("Claims", "is_final", self.right)
        assert self.court.call("Claims", "get_final_root", self.right) == self.truth.machine.header.state
        return self.play_index


@pytest.mark.parametrize("name", LIES)
def test_lie__disputed_on_l1__loses_by_its_step(name: str) -> None:
    lie = LIES[name]
    dispute = Dispute(MINIMAL, lie)
    index = dispute.run()
    phase = Phase(dispute.truth.get_machine(index - 1).header.phase)
    assert phase == lie.phase or (phase == Phase.TAKER and lie.phase == Phase.MAKER)


def test_dispute__full_height__few_transactions_and_little_gas() -> None:
    dispute = Dispute(DEVNET, LIES["overpaid-withdrawal"])
    dispute.run()

    assert len(dispute.gas) <= MAX_TRANSACTIONS
    assert sum(dispute.gas) <= MAX_GAS
