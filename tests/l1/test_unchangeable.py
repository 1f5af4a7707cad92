"""Nobody can change a contract once it is deployed, and nobody but the sequencer, who alone posts, may do what a stranger may not."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from contracts import load_artifact
from protocol.codec.frames import Frame, encode_payload
from protocol.codes import Code
from protocol.duel import find_difference
from protocol.history import REVEAL_HEIGHT, History
from protocol.machine import Preimages
from protocol.params import MINIMAL
from protocol.rules import Rules
from protocol.state import State, View
from protocol.steps import STEPS, fetch
from protocol.trace import Machine
from protocol.types import Header, Phase
from sim.arena import VILLAIN, Party, Villain, World, play
from sim.baits import make_market
from sim.court import GAS_PRICE, Court, encode_address, get_oracles
from sim.evm import WEALTH_WEI, Evm, Result, Reverted
from tests.l1.opcodes import find_reachable

CALLCODE, DELEGATECALL, SELFDESTRUCT = 0xF2, 0xF4, 0xFF
CALLER, ORIGIN = 0x33, 0x32
STRANGERS = (0x5742, 0x9021)
HONEST = 0xA11CE
DEPLOYER = int(Evm().create_account(), 16)  # a chain's first account
USD = 10**6
OWN = {
    "Token.transferFrom",  # of what one was given leave for
    *("Claims.advance_stake", "Claims.withdraw_work"),  # of what one has staked and earned
    "Inbox.post",
}


def get_code(court: Court, name: str) -> bytes:
    """As deployed, immutables included; the machine pads it."""
    code = court.evm._evm.get_code(court.contracts[name].address)
    assert code is not None
    return bytes(code)[: load_artifact(name).runtime_size]


@cache
def get_court() -> Court:
    """Nothing has happened in it."""
    return Court(MINIMAL, load_artifact, 1_790_000_000)


# -- code


def test_find_reachable__planted__found_where_it_can_run_and_only_there() -> None:
    assert SELFDESTRUCT in find_reachable(bytes.fromhex("5fff"))
    assert SELFDESTRUCT in find_reachable(bytes.fromhex("5f56 00 5b 33 ff"))
    assert DELEGATECALL in find_reachable(bytes.fromhex("60ff 5f f4 00"))
    assert not {SELFDESTRUCT, CALLCODE} & find_reachable(bytes.fromhex("60ff 50 00 f2 ff"))


@pytest.mark.parametrize("name", list(get_court().contracts))
def test_no_contract_can_be_destroyed_or_run_foreign_code_as_its_own(name: str) -> None:
    assert not {CALLCODE, DELEGATECALL, SELFDESTRUCT} & find_reachable(get_code(get_court(), name))


def test_only_four_contracts_ask_who_calls() -> None:
    """A contract that never reads its caller's address cannot hold anybody's key."""
    asking = {name for name in get_court().contracts if {CALLER, ORIGIN} & find_reachable(get_code(get_court(), name))}
    assert asking == {"Token", "Inbox", "Claims", "Vault"}


@pytest.mark.parametrize("data", ["", "00", "deadbeef", "8da5cb5b", "f2fde38b" + "00" * 32, "3659cfe6" + "00" * 32])
def test_no_contract_answers_to_what_its_abi_does_not_have(data: str) -> None:
    """Nothing, half a selector, an unknown one; and those of owner(), transferOwnership(address) and upgradeTo(address)."""
    court = get_court()
    for contract in court.contracts.values():
        with pytest.raises(Reverted):
            court.evm._send(court.sequencer, contract.address, bytes.fromhex(data), 0, 10**7, GAS_PRICE)


# -- functions


def name_outcome(court: Court, who: int, name: str, function: str, *arguments: Any, value: int = 0, extra: bytes = b"") -> str:
    """The events that followed, or why it was refused. Nothing is changed."""
    evm, contract = court.evm, court.contracts[name]
    before = evm.take_snapshot()
    evm.set_balance(encode_address(who), WEALTH_WEI)
    try:
        result = evm.transact(encode_address(who), contract, function, *arguments, value=value, extra_calldata=extra, gas_price=GAS_PRICE)
    except Reverted as error:
        return error.reason
    else:
        return name_events(result)
    finally:
        evm.restore(before)


def name_events(result: Result) -> str:
    """Who is paid for work on a claim depends on who made it."""
    return " ".join(event.name for event in result.events if event.name != "WorkCredited")


@dataclass
class Rehearsal:
    """Before a transaction of the court's is really made, everybody tries it in the same state. `tried` are the functions.

    What is its sender's alone, for it is about the sender's own money, must be refused to everybody else; all else goes alike for all.
    """

    court: Court
    tried: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.everybody = (*STRANGERS, DEPLOYER, int(self.court.sequencer, 16), get_oracles(self.court.params)[0], VILLAIN)
        self._transact = self.court.transact
        setattr(self.court, "transact", self.transact)  # noqa: B010 - whoever moves, moves through here

    def try_all(self, name: str, function: str, *arguments: Any, value: int = 0, extra: bytes = b"") -> dict[int, str]:
        """Caller -> outcome."""
        self.tried.add(f"{name}.{function}")
        return {who: name_outcome(self.court, who, name, function, *arguments, value=value, extra=extra) for who in self.everybody}

    def transact(self, sender: int, name: str, function: str, *arguments: Any, value: int = 0, extra: bytes = b"") -> Result:
        """In the court's place."""
        outcomes = self.try_all(name, function, *arguments, value=value, extra=extra)
        result = self._transact(sender, name, function, *arguments, value=value, extra=extra)
        events = name_events(result)
        if f"{name}.{function}" in OWN:
            assert all(outcome != events for who, outcome in outcomes.items() if who != sender), (function, outcomes)
        else:
            assert set(outcomes.values()) == {events}, (function, outcomes)
        return result


def walk_dispute(world: World) -> set[str]:
    """A lie, refuted by a step, and money out. Challenger and villain move by themselves."""
    play_all = Rehearsal(world.court)
    court, truth = world.court, world.truth
    party = Party(world, HONEST)
    play(world, [party], Villain(world, world.lie()), turns=40)
    court.set_time(max(court.now, court.get_position(court.genesis).close))
    play(world, [party], turns=40, tick_s=5)
    winner = court.get_position(court.genesis).winner
    owner, amount = truth.machine.state.outbox[0]
    proof = truth.machine.state.prove_withdrawal(0)
    court.transact(STRANGERS[0], "Vault", "withdraw", winner, 0, encode_address(owner), amount, proof)
    return play_all.tried


def walk_stake(world: World) -> set[str]:
    """Two epochs, claimed by two: the stake of the first goes on to the claim of the second."""
    play_all = Rehearsal(world.court)
    court, truth = world.court, world.truth
    claim = court.claim(HONEST, court.genesis, world.epoch, truth).value
    world.scribe.clock = court.now
    world.scribe.mark(0, make_market(court.now))
    batch = world.scribe.close_batch()
    epoch = court.post_epoch([batch])
    child = court.claim(STRANGERS[1], claim, epoch, History(Machine(truth.machine.state.copy(), [batch], court.rules))).value
    court.transact(HONEST, "Claims", "advance_stake", claim, child)
    court.set_time(court.get_position(claim).close)
    for won in (claim, child):
        court.transact(STRANGERS[0], "Claims", "finalize", won)
    court.transact(STRANGERS[0], "Claims", "withdraw_stake", claim)
    return play_all.tried


def walk_stall(world: World) -> set[str]:
    """Five claims and nobody who moves: the fifth is alone in its group, the others die."""
    play_all = Rehearsal(world.court)
    court = world.court
    claims = [court.claim(VILLAIN, court.genesis, world.epoch, tell(world, loot)).value for loot in range(1, 5)]
    alone = court.claim(HONEST, court.genesis, world.epoch, world.truth).value
    position = court.get_position(court.genesis)
    court.set_time(position.close)
    assert set(play_all.try_all("Claims", "promote", alone).values()) == {"ClaimPromoted"}
    params, (one, other) = court.params, (tell(world, 1), tell(world, 2))
    difference = find_difference(one.get_reveal(one.height, 0), other.get_reveal(other.height, 0))
    court.transact(STRANGERS[0], "Claims", "descend", claims[0], claims[1], tuple(difference), [])
    below = one.height - REVEAL_HEIGHT, difference.place
    court.transact(STRANGERS[0], "Claims", "reveal", claims[0], claims[1], other.get_node(*below), one.get_reveal(*below))
    court.advance(params.censorship_s + params.grace_s + 1)
    court.transact(STRANGERS[0], "Claims", "timeout", claims[0], claims[1])
    court.set_time(position.close + 100 * params.censorship_s)
    court.transact(STRANGERS[0], "Claims", "reopen", court.genesis)
    return play_all.tried


def tell(world: World, loot: int) -> History:
    """Somebody is so much richer when the epoch ends."""

    def mint(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        h, code = fetch.step(h, view, pre, rules)
        if h.is_halted:
            account = view.get_account(0)
            view.put_account(0, account._replace(cash=account.cash + loot))
        return h, code

    steps = {**STEPS, Phase.FETCH: mint}
    return History(Machine(State(MINIMAL), list(world.batches.values()), world.court.rules, steps))


def walk_queue(world: World) -> set[str]:
    """Money in, messages, the one function that is somebody's and the one that is the vault's."""
    play_all = Rehearsal(world.court)
    court, params = world.court, world.court.params
    vault, mine = court.contracts["Vault"].address, encode_address(STRANGERS[0])
    for who in play_all.everybody:
        court.transact(STRANGERS[1], "Token", "mint", encode_address(who), 100 * USD)
        court.evm.transact(encode_address(who), court.contracts["Token"], "approve", vault, 50 * USD)
    court.transact(STRANGERS[0], "Token", "approve", encode_address(STRANGERS[1]), USD)
    court.transact(STRANGERS[1], "Token", "transferFrom", mine, vault, USD)
    court.transact(STRANGERS[0], "Token", "transfer", vault, USD)
    outcomes = play_all.try_all("Vault", "deposit", 10 * USD)
    assert set(outcomes.values()) == {"AccountOpened Transfer MessageQueued Deposited"}
    court.transact(STRANGERS[0], "Inbox", "send", b"rows", b"", value=10**18)
    call = court.call("Inbox", "batch_count"), court.now, court.now, 1, 1
    payload = encode_payload([Frame(court.now, b"data", b"")])
    sequencer = int(court.sequencer, 16)
    posted = play_all.try_all("Inbox", "post", *call, extra=payload)
    assert posted == dict.fromkeys(play_all.everybody, "inbox: not the sequencer") | {sequencer: "BatchPosted"}
    assert set(play_all.try_all("Inbox", "send_deposit", b"rows").values()) == {"inbox: not the vault"}
    court.advance(params.inclusion_delay_s + 1)
    court.transact(STRANGERS[0], "Inbox", "post_queue")
    court.advance(params.silence_s)
    court.transact(STRANGERS[0], "Inbox", "shutdown")
    posted = play_all.try_all("Inbox", "post", call[0] + 1, court.now, court.now, 1, 0)
    assert posted[sequencer] == "inbox: shut down"
    return play_all.tried


def test_everybody_may_do_what_anybody_may_but_post() -> None:
    """Every function that can change anything, where it does: strangers, the deployer, the sequencer, an oracle, a villain."""
    tried = walk_queue(World()) | walk_dispute(World()) | walk_stake(World()) | walk_stall(World())
    functions = {
        f"{name}.{item['name']}"
        for name in get_court().contracts
        for item in load_artifact(name).abi
        if item["type"] == "function" and item["stateMutability"] in ("nonpayable", "payable")
    }
    assert tried == functions
