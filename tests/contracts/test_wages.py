"""What work is paid, against what it really costs: on py-evm, where every transaction pays for its bytes and for cold slots.

No stranger may ever gain by an action, at any price of gas and however it is wrapped; else work would be stolen from whoever defends a
claim. The claimant must not lose by it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from protocol.duel import find_difference
from protocol.keccak import ZERO
from sim.evm import Result
from tests.contracts.chain import PyEvm
from tests.contracts.world import GENESIS_ROOT, Claim, World, deploy_toy

GWEI = 10**9
TIPS = (0, 1, 2)  # gwei above the base fee: as far as tips are paid for


class Row(NamedTuple):
    """A call: gas that it took, and that its sender is paid for."""

    function: str
    gas: int
    paid: int


@dataclass
class Trial:
    """Two rounds of a tournament: a duel that is played and proven, and one that ends by the clock.

    What is spent and paid is counted in wei. Every call comes with another tip, or all at one price: at `tips` none, the first base fee.
    """

    basefee_wei: int = GWEI
    padding: int = 0  # zeros after the arguments
    tips: tuple[int, ...] = TIPS
    opens: bool = True  # the honest claim is the first of the position

    def __post_init__(self) -> None:
        self.evm = PyEvm(self.basefee_wei)
        self.world = World(height=12, group_bits=1, evm=self.evm)
        self.calls = 0
        self.spent: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        self.alice, self.mallory, self.stranger = (self.evm.create_account() for _ in range(3))
        self.honest = self.world.compute_honest(self.world.run_epoch())
        self.lies = [self.world.compute_lie(self.honest, 17, seed) for seed in range(2)]
        claims = [(self.honest, self.alice), *((lie, self.mallory) for lie in self.lies)]
        if not self.opens:
            claims[:2] = claims[1::-1]
        for claim, who in claims:
            result = self.send(who, "claim", *claim.args, bytes(32), value=self.world.stake_wei)[1]
            claim.id = result.value

    def send(self, who: str, function: str, *args: Any, value: int = 0) -> tuple[Row, Result]:
        basefee = self.evm.get_basefee()
        price = basefee + self.tips[self.calls % len(self.tips)] * GWEI if self.tips else self.basefee_wei
        self.calls += 1
        padding = bytes(0 if value else self.padding)
        result = self.evm.transact(who, self.world.claims, function, *args, value=value, gas_price=price, extra_calldata=padding)
        self.spent[who] += result.gas_used * price
        mine = 0
        for event in result.events:
            if event.name == "WorkCredited":
                self.paid[event.fields["worker"]] += event.fields["amount"]
                mine += (event.fields["worker"] == who) * event.fields["amount"]
        return Row(function, result.gas_used, mine // price), result

    def run(self, worker: str, finalizes: bool = True) -> list[Row]:
        """`worker` does all there is for the honest claim, or leaves the end to others."""
        world, honest = self.world, self.honest
        first, second = self.lies
        rows = [self.send(worker, "descend", *self.make_descend(honest, first, []))[0]]
        rows.append(self.send(worker, "reveal", *self.make_reveal(honest, first))[0])
        self.send(self.mallory, "descend", *self.make_descend(first, honest, first.history.get_reveal(2, 1)))
        rows.append(self.send(worker, "descend", *self.make_descend(honest, first, []))[0])
        proof = self.make_proof(honest, first)
        rows.append(self.send(worker, "prove", honest.id, first.id, *proof)[0])
        world.pass_close(world.genesis)
        rows.append(self.send(worker, "promote", honest.id)[0])
        self.send(self.mallory, "promote", second.id)
        world.evm.set_time(world.get_start(world.genesis, 1))
        rows.append(self.send(worker, "descend", *self.make_descend(honest, second, honest.history.get_reveal(1, 0)))[0])
        world.evm.advance(world.times.grace_s + world.times.censorship_s + 1)
        rows.append(self.send(worker, "timeout", honest.id, second.id)[0])
        if finalizes:
            rows.append(self.send(worker, "finalize", honest.id)[0])
        return rows

    def claim(self, who: str, claim: Claim, stake_from: bytes = ZERO) -> None:
        value = self.world.stake_wei if stake_from == ZERO else 0
        claim.id = self.send(who, "claim", *claim.args, stake_from, value=value)[1].value

    def refute(self, worker: str, honest: Claim, lie: Claim, witness: bytes = b"", root: bytes = GENESIS_ROOT) -> None:
        """At full height, up to the end of the only round: whatever is due for `honest` is done by `worker`. `root` is the parent's."""
        sides = [(worker, honest, lie), (self.mallory, lie, honest)]
        for round_ in range(7):
            who, mine, other = sides[round_ % 2]
            index = 17 >> 4 * (6 - round_)
            nodes = mine.history.get_reveal(round_ + 1, index) if round_ < 6 else []
            self.send(who, "descend", *self.make_descend(mine, other, nodes))
        leaf, rival, args, path = self.make_proof(honest, lie, root)
        self.send(worker, "prove", honest.id, lie.id, leaf, rival, args + witness, path)
        self.world.pass_close(honest.parent)

    def make_proof(self, mine: Claim, other: Claim, root: bytes = GENESIS_ROOT) -> tuple[Any, ...]:
        index = self.world.get_duel(mine, other)["index"]
        args = self.world.compute_args(self.world.compute_headers(mine.epoch, root)[index - 1])
        return mine.history.get_node(0, index), other.history.get_node(0, index), args, mine.history.prove_leaf(index - 1)

    def make_descend(self, mine: Claim, other: Claim, nodes: list[bytes]) -> tuple[Any, ...]:
        duel = self.world.get_duel(mine, other)
        reveals = [claim.history.get_reveal(duel["round"], duel["index"]) for claim in (mine, other)]
        return mine.id, other.id, find_difference(*reveals), nodes

    def make_reveal(self, mine: Claim, other: Claim) -> tuple[Any, ...]:
        duel = self.world.get_duel(mine, other)
        node = other.history.get_node(self.world.height - 4 * duel["round"], duel["index"])
        return mine.id, other.id, node, mine.history.get_reveal(duel["round"], duel["index"])


def create_tall() -> Trial:
    """At full height and at one price, before any claim."""
    trial = Trial(tips=())
    trial.world = World(height=28, evm=trial.evm)
    trial.paid.clear()
    trial.spent.clear()
    return trial


@pytest.mark.parametrize("padding", [0, 3_000, 7_000, 40_000])
def test_a_stranger_never_gains_by_work(padding: int) -> None:
    """Attack 5: neither plainly, nor by calldata that nobody reads, which is paid by the byte and is cheapest if it is zeros."""
    trial = Trial(padding=padding)
    rows = trial.run(trial.stranger)
    assert {row.function for row in rows} == {"descend", "reveal", "prove", "promote", "timeout", "finalize"}
    assert [row for row in rows if row.paid > row.gas] == []
    if not padding:  # nor does it lose much, but for its own first slots: its helpfulness is free
        assert min(row.paid / row.gas for row in rows) > 0.7


def test_the_claimant_gains_by_work() -> None:
    """With a rival: all of it, from the claim to both payouts, at a steady price."""
    trial = Trial(tips=())
    rows = trial.run(trial.alice)
    assert [row for row in rows if row.paid < row.gas] == []
    before = trial.evm.get_balance(trial.world.claims.address)
    for function in ("withdraw_work", "withdraw_stake"):
        trial.send(trial.alice, function, trial.honest.id)
    assert trial.evm.get_balance(trial.world.claims.address) < before - trial.world.stake_wei
    assert 0 < trial.paid[trial.alice] - trial.spent[trial.alice] < trial.spent[trial.alice] // 2


@pytest.mark.parametrize("opens", [True, False])
def test_a_claimant_whom_others_defend_is_paid_what_claiming_cost(opens: bool) -> None:
    """And no more, whenever the claim is finalised: to make somebody else's claim gains nothing."""
    trial = Trial(opens=opens, tips=())
    trial.run(trial.stranger)
    for function in ("withdraw_work", "withdraw_stake"):
        trial.send(trial.alice, function, trial.honest.id)
    assert 0.94 * trial.spent[trial.alice] < trial.paid[trial.alice] <= trial.spent[trial.alice]


def test_claiming_is_paid_at_the_price_of_then() -> None:
    """Whoever finalises chooses when, and with it the base fee."""
    paid = []
    for price in (10**9, 3 * 10**9):
        trial = Trial(tips=())
        trial.run(trial.stranger, finalizes=False)
        trial.basefee_wei = price
        trial.send(trial.stranger, "finalize", trial.honest.id)
        paid.append((trial.paid[trial.alice], trial.paid[trial.stranger]))
    assert paid[0][0] == paid[1][0]
    assert paid[0][1] < paid[1][1]


@pytest.mark.parametrize("witness", [0, 4_000])
def test_a_dispute_of_two_pays_for_itself(witness: int) -> None:
    """At full height, each side playing its own; also if the step is cheap and takes many bytes, none of them a zero.

    4,000 of them beside a step that does nothing cost as much above their pay as the 9,728 of the real step that pays worst (a message).
    """
    trial = create_tall()
    honest = trial.world.compute_honest(trial.world.run_epoch())
    lie = trial.world.compute_lie(honest, 17)
    trial.claim(trial.alice, honest)
    trial.claim(trial.mallory, lie)
    trial.refute(trial.alice, honest, lie, b"\xff" * witness)
    for function in ("finalize", "withdraw_work", "withdraw_stake"):
        trial.send(trial.alice, function, honest.id)
    assert 0 < trial.paid[trial.alice] - trial.spent[trial.alice] < trial.spent[trial.alice] // 2


@pytest.mark.parametrize("is_paid_first", [True, False])
@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("is_moved", [False, True])
def test_front_running_the_claim__others_make_the_moves__gains_nothing(is_moved: bool, opens: bool, is_paid_first: bool) -> None:
    """At full height, on a fresh stake and on one that was moved along, also if somebody else has opened the slots of the payout.

    Nor does an honest claimant lose much. A stake that moves on is not paid out yet.
    """
    trial = create_tall()
    world, alice, stranger = trial.world, trial.alice, trial.stranger
    right, root, stake = world.compute_honest(world.run_epoch()), GENESIS_ROOT, ZERO
    if is_moved:
        trial.claim(alice, right)
        root, stake = right.post_root, right.id
        right = world.compute_honest(world.run_epoch(), stake, root)
    trial.spent.clear()
    lie = world.compute_lie(right, 17)
    claims = [(alice, right, stake), (trial.mallory, lie, ZERO)]
    for who, claim, stake_from in claims if opens else reversed(claims):
        trial.claim(who, claim, stake_from)
    trial.refute(stranger, right, lie, root=root)
    for claim_id in (stake, right.id) if is_moved else (right.id,):
        trial.send(stranger, "finalize", claim_id)
    for who in (alice, stranger) if is_paid_first else (stranger, alice):
        trial.send(who, "withdraw_work", right.id)
    if not is_moved:
        trial.send(alice, "withdraw_stake", right.id)
    gain = trial.paid[alice] - trial.spent[alice]
    assert -0.08 * trial.spent[alice] <= gain <= 0


@pytest.mark.parametrize(("basefee", "tip"), [(1, 0), (1, 2), (1, 3), (1, 60), (160, 1), (160, 5), (150, 0), (150, 60), (1_000, 3)])
def test_the_price_of_work(basefee: int, tip: int) -> None:
    """What the transaction paid; but no tip above 2 gwei, which whoever builds the block pays to himself, and never more than 50 gwei."""
    trial = Trial(basefee * GWEI, tips=(tip,))
    honest, lie = trial.honest, trial.lies[0]
    basefee_wei = trial.evm.get_basefee()
    result = trial.send(trial.stranger, "descend", *trial.make_descend(honest, lie, []))[1]
    price = min(basefee_wei + tip * GWEI, basefee_wei + 2 * GWEI, 50 * GWEI)
    (amount,) = [event.fields["amount"] for event in result.events if event.fields.get("worker") == trial.stranger]
    assert amount % price == 0
    assert 0.65 * result.gas_used < amount // price < result.gas_used


def test_many_calls_in_one_transaction_are_paid_for_what_the_meter_shows() -> None:
    """Its base and its bytes are paid once, so that a contract which does all of somebody's moves at once would gain by each."""
    evm = PyEvm()
    world = World(evm=evm)
    alice, mallory, stranger = (evm.create_account() for _ in range(3))
    honest = world.compute_honest(world.run_epoch())
    world.enter(honest, alice)
    lies = [world.compute_lie(honest, 17, seed) for seed in range(6)]
    for lie in lies:
        world.enter(lie, mallory)
    batch = deploy_toy(evm, world.deployer, "Batch")
    difference = [find_difference(honest.history.get_reveal(0, 0), lie.history.get_reveal(0, 0)) for lie in lies]
    moves = [world.claims.encode("descend", honest.id, lie.id, item, []) for lie, item in zip(lies, difference, strict=True)]
    evm.transact(stranger, batch, "run", world.claims.address, moves[:1])  # its fresh slots
    price = evm.get_basefee()
    before = evm.call(world.claims, "work", honest.id, batch.address)
    result = evm.transact(stranger, batch, "run", world.claims.address, moves[1:], gas_price=price)
    paid = (evm.call(world.claims, "work", honest.id, batch.address) - before) // price
    assert 0.5 * result.gas_used < paid < result.gas_used - 21_000
