"""Out of an exchange without its sequencer: before the contracts in this process, and by the command with real processes."""

import json
from pathlib import Path

import pytest

from protocol.codec.frames import Batch, Message, compute_record
from protocol.codec.rows import encode_row
from protocol.leap import Leap
from protocol.operations import Kind, build_shutdown
from protocol.state import State
from protocol.types import INBOX_AUTHORITY, compute_record_hash
from sim.arena import Party, World, play
from sim.court import STRANGER, encode_address
from sim.evm import Reverted
from sim.forced import compute_left, open_scribe, write_last_marks, write_settlement, write_trade, write_withdrawal
from sim.scribe import Scribe
from sim.villains.lies import LIES
from tests.sim_world.runs import find_processes, run

HONEST = 0xA11CE
USD = 1_000_000
LIMIT_S = 450.0


class Exit:
    """An epoch of trading has been posted; then its sequencer is gone. `state` is what the batches so far lead to."""

    def __init__(self) -> None:
        self.world = World(LIES["minted-root"])
        self.court = self.world.court
        self.party = Party(self.world, HONEST, claim_if_missing=True)
        self.state: State = self.world.truth.machine.state.copy()
        self.tip = self.finish(self.court.genesis)
        self.waiting: list[Message] = []
        self.outcomes: list[tuple[Kind, str]] = []

    def open_scribe(self) -> Scribe:
        """Everybody's keys."""
        scribe = self.world.scribe
        return open_scribe(self.court.rules, self.state, scribe.keys, scribe.oracles, self.court.now)

    def get_owner(self, index: int) -> int:
        return self.state.get_account(index).owner

    def force(self, authority: int, message: Message) -> None:
        """By the inbox."""
        message = message._replace(time=self.court.now, authority=authority)
        self.court.queue(message)
        self.waiting.append(message)

    def shut_down(self) -> int:
        """By a stranger; when."""
        self.court.transact(STRANGER, "Inbox", "shutdown")
        self.waiting.append(Message(self.court.now, INBOX_AUTHORITY, encode_row(build_shutdown()), b""))
        return self.court.now

    def post_queue(self) -> None:
        """By a stranger, once it is overdue; the challenger claims it, and the claim becomes final."""
        court, params = self.court, self.court.params
        court.advance(params.inclusion_delay_s + 1)
        number, start = (court.call("Inbox", view) for view in ("batch_count", "messages_consumed"))
        batch = Batch(compute_record(number, court.now, court.now, start, self.waiting, ()), tuple(self.waiting), ())
        self.world.batches |= {compute_record_hash(batch.record): batch}
        self.waiting = []
        court.transact(STRANGER, "Inbox", "post_queue")
        outcomes = Leap(self.state, court.rules).apply_batch(batch)
        self.outcomes = [(Kind(outcome.items[0] & 15), outcome.code.name) for outcome in outcomes]
        court.set_time((court.now // params.epoch_s + 1) * params.epoch_s)
        self.tip = self.finish(self.tip)

    def finish(self, parent: bytes) -> bytes:
        """The final claim on top of `parent`, which says what the batches lead to."""
        play(self.world, [self.party], turns=20)
        self.court.set_time(self.court.get_position(parent).close)
        play(self.world, [self.party], turns=40, tick_s=2)
        winner: bytes = self.court.get_position(parent).winner
        assert self.court.call("Claims", "get_final_root", winner) == self.state.get_root()
        return winner

    def pay_all(self) -> dict[int, int]:
        """A stranger asks the vault for everything that it owes; what each owner received."""
        paid: dict[int, int] = {}
        for at, (owner, amount) in enumerate(self.state.outbox):
            if not self.court.call("Vault", "is_paid", at):
                proof = self.state.prove_withdrawal(at)
                self.court.transact(STRANGER, "Vault", "withdraw", self.tip, at, encode_address(owner), amount, proof)
                paid[owner] = paid.get(owner, 0) + amount
        return paid


def test_exit__without_a_sequencer__everybody_gets_everything() -> None:
    drill = Exit()
    court, owners = drill.court, [drill.get_owner(index) for index in range(4)]
    drill.pay_all()  # what was asked for while the sequencer lived
    # open still: a withdrawal and a trade
    scribe = drill.open_scribe()
    drill.force(owners[3], write_trade(scribe, drill.state))
    drill.force(owners[0], write_withdrawal(scribe, 0, 500 * USD))
    drill.post_queue()
    assert drill.outcomes == [(Kind.ORDER, "OK"), (Kind.ORDER, "OK"), (Kind.TRADE, "OK"), (Kind.WITHDRAW, "OK")]
    assert drill.pay_all() == {owners[0]: 500 * USD}
    # shut down for silence
    with pytest.raises(Reverted, match="not silent"):
        court.transact(STRANGER, "Inbox", "shutdown")
    court.set_time(court.call("Inbox", "last_post") + court.params.silence_s)
    shut_at = drill.shut_down()
    scribe = drill.open_scribe()
    drill.force(STRANGER, write_last_marks(scribe, drill.state, shut_at))
    drill.force(owners[1], write_withdrawal(scribe, 1))
    court.set_time(shut_at + court.params.shutdown_s)
    drill.force(STRANGER, write_settlement(scribe))
    for index, owner in enumerate(owners):
        drill.force(owner, write_withdrawal(scribe, index))
    drill.post_queue()
    kinds = [(Kind.SHUTDOWN, "OK"), (Kind.MARK, "OK"), (Kind.WITHDRAW, "FROZEN"), (Kind.SHUTDOWN, "OK"), *[(Kind.WITHDRAW, "OK")] * 4]
    assert drill.outcomes == kinds, "whoever has positions waits for the settlement"
    assert set(drill.pay_all()) == set(owners)
    # nothing is left but what is nobody's
    left = compute_left(drill.state)
    held = court.call("Vault", "held")
    assert held == court.call("Token", "balanceOf", court.contracts["Vault"].address) == sum(left.values()) == drill.state.globals.balance
    assert (left["users"], left["pool"], left["debt"]) == (0, 0, 0)
    assert not any(account.positions for account in drill.state.accounts.values())
    with pytest.raises(Reverted, match="shut down"):
        court.transact(int(court.sequencer, 16), "Inbox", "post", 9, court.now, court.now, 0, 1)


@pytest.mark.slow
def test_exit_drill__real_processes__everybody_is_out(tmp_path: Path) -> None:
    code, output = run("exit-drill", "--out", str(tmp_path), limit_s=LIMIT_S)
    assert code == 0, output
    report = json.loads((tmp_path / "exit.json").read_text())
    assert report["missing"] == []
    assert report["forced_trades"] == 1
    assert report["queues_posted_by"][-1] == "a stranger"
    assert report["forced_paid"] == 5_000
    assert report["claimed_by"].startswith("challenger-")
    assert len(report["paid"]) == 8
    assert report["left_in_vault"] == sum(report["of_which"].values())
    assert report["of_which"]["users"] == report["of_which"]["pool"] == 0
    assert find_processes(tmp_path) == []
