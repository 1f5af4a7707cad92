"""A deployment on the in-process chain with a toy machine, and the parties of a dispute.

Everything goes through the contracts' public doors. The toy (`ToyStep.vy`) stands in for the exchange's steps, so that a test can
choose how long a run is and where a liar leaves it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from contracts import Artifact, load_artifact
from contracts.build import compile_artifact
from protocol.codec.frames import Frame, encode_payload
from protocol.duel import Difference, find_difference
from protocol.keccak import ZERO, encode_word, keccak
from protocol.types import Header, Phase, compute_header_leaf, encode_header
from sim.evm import Contract, Evm, Result, compute_create_address

HERE = Path(__file__).parent
GENESIS_ROOT = keccak(b"genesis")
GAS_PRICE = 10**9


@dataclass(frozen=True)
class Times:
    """Of a test's deployment; seconds."""

    epoch_s: int = 10
    inclusion_delay_s: int = 10
    header_window_s: int = 600
    entry_s: int = 30
    censorship_s: int = 120
    grace_s: int = 20
    silence_s: int = 1_000


@cache
def load_toy(name: str) -> Artifact:
    """Compiles a contract of this folder."""
    data = compile_artifact(HERE / f"{name}.vy")
    selectors = {signature: bytes.fromhex(selector) for signature, selector in data["selectors"].items()}
    return Artifact(data["name"], tuple(data["abi"]), bytes.fromhex(data["bytecode"]), data["runtime_size"], selectors)


class Commitment:
    """The history tree over some leaves, padded by repeating the last."""

    def __init__(self, leaves: Sequence[bytes], height: int) -> None:
        self.height = height
        self.leaves = list(leaves)
        self._pads = [self.leaves[-1]]
        for _ in range(height):
            self._pads.append(keccak(self._pads[-1] + self._pads[-1]))
        self._levels = [self.leaves]
        for level in range(height):
            nodes = self._levels[-1]
            if len(nodes) & 1:
                nodes = [*nodes, self._pads[level]]
            self._levels.append([keccak(nodes[i] + nodes[i + 1]) for i in range(0, len(nodes), 2)])

    @property
    def root(self) -> bytes:
        return self._levels[-1][0]

    def get_node(self, height: int, index: int) -> bytes:
        nodes = self._levels[height]
        return nodes[index] if index < len(nodes) else self._pads[height]

    def get_reveal(self, round_: int, index: int) -> list[bytes]:
        """The 16 nodes below the node `index` of the round's level."""
        below = self.height - 4 * (round_ + 1)
        return [self.get_node(below, 16 * index + i) for i in range(16)]

    def prove_leaf(self, index: int) -> list[bytes]:
        return [self.get_node(height, index >> height ^ 1) for height in range(self.height)]


@dataclass
class Claim:
    """What a party claims, and the claim's id once it is entered."""

    parent: bytes
    epoch: int
    post_root: bytes
    history: Commitment
    id: bytes = ZERO

    @property
    def args(self) -> tuple[Any, ...]:
        """Of `Claims.claim` without the stake."""
        tree = self.history
        return (self.parent, self.epoch, self.post_root, tree.root, tree.get_reveal(0, 0), tree.prove_leaf((1 << tree.height) - 1))


@dataclass
class World:
    """One deployment. `steps` is how many steps each epoch's run takes."""

    height: int = 8
    steps: int = 40
    times: Times = Times()
    stake_wei: int = 10**18
    group_bits: int = 5
    batch_depth: int = 3
    evm: Evm = field(default_factory=Evm)

    def __post_init__(self) -> None:
        evm, t = self.evm, self.times
        self.deployer, self.sequencer = evm.create_account(), evm.create_account()
        self.toy = evm.deploy(self.deployer, load_toy("ToyStep"), self.steps)
        selector = load_toy("ToyStep").get_selector("step")
        self.judge = evm.deploy(self.deployer, load_artifact("Judge"), [self.toy.address] * len(Phase), [selector] * len(Phase))
        self.token = evm.deploy(self.deployer, load_artifact("Token"))
        vault = compute_create_address(self.deployer, evm.get_nonce(self.deployer) + 2)
        delays = (t.epoch_s, t.inclusion_delay_s, t.header_window_s)
        self.inbox = evm.deploy(self.deployer, load_artifact("Inbox"), self.sequencer, vault, *delays, self.batch_depth, t.silence_s)
        clocks = (t.entry_s, t.censorship_s, t.grace_s)
        self.claims = evm.deploy(
            self.deployer,
            load_artifact("Claims"),
            self.inbox.address,
            self.judge.address,
            GENESIS_ROOT,
            self.height,
            self.group_bits,
            *clocks,
            self.stake_wei,
        )
        self.vault = evm.deploy(self.deployer, load_artifact("Vault"), self.token.address, self.inbox.address, self.claims.address, 500, 4)
        self.genesis: bytes = evm.call(self.claims, "GENESIS")

    # ---- epochs

    def post(self, frames: Sequence[Frame] = (), messages: int = 0, sender: str = "") -> Result:
        """A batch now."""
        now = self.evm.timestamp
        payload = encode_payload(frames)
        call = self.evm.call(self.inbox, "batch_count"), now, now, messages, len(frames)
        return self.evm.transact(sender or self.sequencer, self.inbox, "post", *call, extra_calldata=payload, gas_price=GAS_PRICE)

    def run_epoch(self, batches: int = 1) -> int:
        """Batches in a new epoch that is over when this returns; its number."""
        self.evm.set_time((self.evm.timestamp // self.times.epoch_s + 1) * self.times.epoch_s)
        for i in range(batches):
            self.post([Frame(self.evm.timestamp, b"data %d" % i, b"")])
        epoch = self.evm.timestamp // self.times.epoch_s
        self.evm.set_time((epoch + 1) * self.times.epoch_s)
        return epoch

    def compute_headers(self, epoch: int, root: bytes = GENESIS_ROOT) -> list[Header]:
        """The toy machine's run over an epoch: `steps` + 1 headers, the last one halted."""
        inbox, batches = self.evm.call(self.inbox, "get_epoch", epoch)
        header = Header(root, inbox, batches)
        headers = [header]
        for offset in range(self.steps):
            state = keccak(header.state + encode_word(offset))
            header = Header(state, inbox, batches, offset=offset + 1, phase=Phase.FETCH)
            headers.append(header)
        headers[-1] = Header(header.state, inbox, batches, batch=batches)
        return headers

    def compute_honest(self, epoch: int, parent: bytes | None = None, root: bytes = GENESIS_ROOT) -> Claim:
        """The right claim."""
        headers = self.compute_headers(epoch, root)
        leaves = [compute_header_leaf(header) for header in headers]
        return Claim(parent or self.genesis, epoch, headers[-1].state, Commitment(leaves, self.height))

    def compute_lie(self, honest: Claim, at: int, seed: int = 0) -> Claim:
        """Wrong from leaf `at` on; the last leaf is a halted header all the same."""
        rng = random.Random(seed)
        last = (1 << self.height) - 1
        inbox, batches = self.evm.call(self.inbox, "get_epoch", honest.epoch)
        post_root = rng.randbytes(32)
        end = compute_header_leaf(Header(post_root, inbox, batches, batch=batches))
        right = [honest.history.get_node(0, i) for i in range(min(at, last))]
        wrong = [rng.randbytes(32) for _ in range(min(8, last - at))]
        return Claim(honest.parent, honest.epoch, post_root, Commitment([*right, *wrong, end], self.height))

    # ---- claims

    def enter(self, claim: Claim, who: str, stake_from: bytes = ZERO) -> Result:
        """Claims, with a new stake or one that is there."""
        value = self.stake_wei if stake_from == ZERO else 0
        result = self.evm.transact(who, self.claims, "claim", *claim.args, stake_from, value=value, gas_price=GAS_PRICE)
        claim.id = result.value
        return result

    def get_duel(self, a: Claim, b: Claim) -> dict[str, Any]:
        """The duel seen from `a`."""
        names = ("round", "index", "since", "left_a", "left_b", "revealed", "pair", "is_out_a", "is_out_b")
        return dict(zip(names, self.evm.call(self.claims, "get_duel", a.id, b.id), strict=True))

    def get_position(self, parent: bytes) -> dict[str, Any]:
        """The current one."""
        names = ("position", "generation", "epoch", "close", "rounds", "count", "winner")
        return dict(zip(names, self.evm.call(self.claims, "get_position", parent), strict=True))

    def get_group(self, position: bytes, round_: int, number: int) -> tuple[int, bytes]:
        """How many stand in it, and the XOR of their ids."""
        alive, survivors = self.evm.call(self.claims, "get_group", position, round_, number)
        return alive, survivors

    def get_start(self, parent: bytes, round_: int) -> int:
        """When a round of the current position's tournament begins."""
        return int(self.get_position(parent)["close"] + round_ * self.evm.call(self.claims, "ROUND_S"))

    def get_round(self, claim: Claim) -> int:
        """That the claim stands in."""
        return int(self.evm.call(self.claims, "get_claim", claim.id)[6])

    def is_alive(self, claim: Claim) -> bool:
        return bool(self.evm.call(self.claims, "is_alive", claim.id))

    def is_final(self, claim: Claim) -> bool:
        return bool(self.evm.call(self.claims, "is_final", claim.id))

    def move(self, who: str, mine: Claim, other: Claim, next_too: bool = True) -> Result:
        """The best move there is for `mine`: completes the round if it can, and reveals the next one."""
        duel = self.get_duel(mine, other)
        round_, index = duel["round"], duel["index"]
        if duel["revealed"] == 0:
            return self.reveal(
                who, mine, other, other.history.get_node(self.height - 4 * round_, index), mine.history.get_reveal(round_, index)
            )
        difference = find_difference(mine.history.get_reveal(round_, index), other.history.get_reveal(round_, index))
        is_last = 4 * (round_ + 1) == self.height
        following = mine.history.get_reveal(round_ + 1, 16 * index + difference.place) if next_too and not is_last else []
        return self.descend(who, mine, other, difference, following)

    def reveal(self, who: str, mine: Claim, other: Claim, node_other: bytes, nodes: list[bytes]) -> Result:
        return self.evm.transact(who, self.claims, "reveal", mine.id, other.id, node_other, nodes, gas_price=GAS_PRICE)

    def descend(self, who: str, mine: Claim, other: Claim, difference: Difference, nodes: list[bytes]) -> Result:
        return self.evm.transact(who, self.claims, "descend", mine.id, other.id, difference, nodes, gas_price=GAS_PRICE)

    def compute_args(self, header: Header, burn: int = 0, witness: bytes | None = None) -> bytes:
        """The toy step's complete arguments."""
        return encode_header(header) + (witness or keccak(header.state)) + encode_word(burn)

    def prove(self, who: str, a: Claim, b: Claim, headers: Sequence[Header], args: bytes | None = None, gas: int = 1 << 24) -> Result:
        """Decides the duel; `headers` are the right ones."""
        index = self.get_duel(a, b)["index"]
        leaves = a.history.get_node(0, index), b.history.get_node(0, index)
        path: list[bytes] = []
        if index == 0:
            args = b"" if args is None else args
        else:
            before = headers[min(index - 1, len(headers) - 1)]
            args = self.compute_args(before) if args is None else args
            path = a.history.prove_leaf(index - 1)
        return self.evm.transact(who, self.claims, "prove", a.id, b.id, *leaves, args, path, gas_price=GAS_PRICE, gas=gas)

    def play(self, a: Claim, b: Claim, who_a: str, who_b: str) -> int:
        """Both sides reveal in turn until the proof is due; how many transactions that took."""
        turn, count = (a, b, who_a), 0
        while self.get_duel(a, b)["round"] < self.height // 4:
            self.move(turn[2], turn[0], turn[1])
            turn = (b, a, who_b) if turn[0] is a else (a, b, who_a)
            count += 1
        return count

    def timeout(self, who: str, a: Claim, b: Claim) -> Result:
        return self.evm.transact(who, self.claims, "timeout", a.id, b.id, gas_price=GAS_PRICE)

    def promote(self, claim: Claim, who: str = "") -> Result:
        """Moves it up."""
        return self.evm.transact(who or self.deployer, self.claims, "promote", claim.id, gas_price=GAS_PRICE)

    def reopen(self, parent: bytes) -> Result:
        return self.evm.transact(self.deployer, self.claims, "reopen", parent, gas_price=GAS_PRICE)

    def finalize(self, claim: Claim) -> Result:
        return self.evm.transact(self.deployer, self.claims, "finalize", claim.id)

    def pass_close(self, parent: bytes) -> None:
        """To the moment when entry closes."""
        self.evm.set_time(max(self.evm.timestamp, self.get_position(parent)["close"]))


def deploy_toy(evm: Evm, deployer: str, name: str, *args: Any) -> Contract:
    """A contract of this folder."""
    return evm.deploy(deployer, load_toy(name), *args)
