"""Claims each epoch that is over, on top of our claim of the one before, with one stake that moves along the branch.

What was claimed is remembered in the store, so a restart neither traces nor pays again. A claim that is there already, whoever made it, is
ours too if it is the same, and our stake goes along. What L1 refuses or a reorganisation takes back is claimed again, after a while, from
what L1 says then. While it says that our branch is dead, nothing is claimed: somebody has proven us wrong, and more stakes would only be
lost.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import trio

from l1.abi import decode_reason
from l1.batches import EpochReader
from l1.client import Client
from l1.contracts import ClaimView, encode_advance_stake, encode_claim, encode_finalize, get_claim, get_position, read
from l1.deploy import Deployment
from l1.provider import RpcError, Unavailable
from l1.sender import NotSent, Sender
from node.store import Items
from protocol.keccak import ZERO, encode_word, encode_words, keccak
from sequencer.journal import decode, encode
from sequencer.tracer import LENGTH_BYTES, Trace, pack

CLAIM_GAS = 1_200_000
FINALIZE_GAS = 300_000
ADVANCE_GAS = 120_000
RETRY_S = 2.0
MAX_RETRY_S = 60.0
KIND = "claim"
STAKE = "stake"
Log = Callable[[str, dict[str, Any]], None]


class TracerDied(Exception):
    """The worker ended; it is started anew, from genesis."""


class Stopped(Exception):
    """Our branch is dead. It may be alive again after a reorganisation, or its position open anew."""


class Refused(Exception):
    """L1 did not take what we sent, or has no more what it had: all is to be read again."""


class Claimer:
    """Start `run` in a nursery; `wake` it when there is a new block."""

    def __init__(
        self, client: Client, deployment: Deployment, sender: Sender, reader: EpochReader, items: Items, steps: str, log: Log
    ) -> None:
        self._client = client
        self._deployment = deployment
        self._sender = sender
        self._reader = reader
        self._items = items
        self._steps = steps
        self._log = log
        self._claims = deployment.get_address("Claims")
        self._wake = trio.Event()
        self._done = 0  # the last epoch that the worker has behind it
        self._parent = keccak(encode_words((0, 0)) + deployment.genesis_root + ZERO)
        self._branch: list[bytes] = []  # claims from genesis on, the parent last
        self._unfinal: list[tuple[bytes, bytes]] = []  # (parent, claim), oldest first
        self._refusals: dict[str, int] = {}  # by what was sent: an intent has its outcome for ever, so another try has another name
        self._wait_s = RETRY_S
        self.finalizes = True

    def wake(self) -> None:
        """Something may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """For ever. After trouble it starts anew from genesis; what is on L1 already is neither traced nor paid again."""
        while True:
            async with trio.open_nursery() as nursery:
                process: trio.Process = await nursery.start(_start_worker)
                try:
                    await self._claim_all(process)
                except TracerDied as error:
                    self._log("claims.tracer_died", {"error": str(error)})
                except Refused as error:
                    self._log("claims.refused", {"error": str(error), "again_s": self._wait_s})
                except Stopped as error:
                    self._log("claims.stopped", {"error": str(error), "again_s": self._wait_s})
                nursery.cancel_scope.cancel()
            await trio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, MAX_RETRY_S)

    async def _claim_all(self, process: trio.Process) -> None:
        d = self._deployment
        self._done = 0
        self._parent = keccak(encode_words((0, 0)) + d.genesis_root + ZERO)
        self._branch = [self._parent]
        self._unfinal.clear()
        await _send(process, (d.preset, d.speed, d.rules.domain, d.oracles, self._steps))
        while True:
            try:
                for epoch in self._reader.index.get_epochs(self._done):
                    await self._claim(process, epoch)
                if self.finalizes:
                    await self._finalize()
            except (Unavailable, RpcError, NotSent) as error:
                self._log("claims.later", {"error": str(error)})
                await trio.sleep(RETRY_S)
            await self._wake.wait()
            self._wake = trio.Event()

    async def _claim(self, process: trio.Process, epoch: int) -> None:
        batches = await self._reader.read_epoch(epoch)
        name = encode_word(epoch) + self._parent
        claim_id, post_root = await self._recall(name)
        await _send(process, (post_root, [tuple(batch) for batch in batches]))
        answer = await _receive(process)
        if answer is not None:
            trace = Trace(*answer)
            self._log("claims.traced", {"epoch": epoch, "steps": trace.steps, "post_root": trace.post_root, "history": trace.history})
            claim_id = await self._make(epoch, trace)
            self._items.put(KIND, name, encode((claim_id, trace.post_root)))
        self._unfinal.append((self._parent, claim_id))
        self._branch.append(claim_id)
        self._parent, self._done = claim_id, epoch

    async def _recall(self, name: bytes) -> tuple[bytes, bytes]:
        """Id and post-state of what we claimed, as long as it stands on L1; else it must be traced and claimed again."""
        kept = self._items.get(KIND, name)
        if kept is None:
            return b"", b""
        known: tuple[bytes, bytes] = decode(kept)
        claim = await self._get_claim(known[0])
        if claim is not None and not claim.is_alive:
            position = await get_position(self._client, self._claims, self._parent)
            if claim.position == position.position:
                raise Stopped(f"claim {known[0].hex()} is dead")
        return known if claim is not None and claim.is_alive else (b"", b"")

    async def _make(self, epoch: int, trace: Trace) -> bytes:
        """The claim's id, once it is on L1 with a stake of ours on it or before it."""
        position = await get_position(self._client, self._claims, self._parent)
        claim_id = keccak(position.position + encode_word(epoch) + trace.post_root + trace.history)
        claim = await self._get_claim(claim_id)
        if claim is None:
            claim = await self._enter(epoch, trace, claim_id)
        if not claim.is_alive:
            raise Stopped(f"claim {claim_id.hex()} is dead")
        if claim.claimant != int.from_bytes(self._sender.address, "big"):
            self._log("claims.joined", {"epoch": epoch, "claim": claim_id, "claimant": claim.claimant})
            await self._bring_stake([*self._branch, claim_id])
        self._wait_s = RETRY_S
        return claim_id

    async def _enter(self, epoch: int, trace: Trace, claim_id: bytes) -> ClaimView:
        """Ours, or the same by somebody who was faster."""
        parent = await self._get_claim(self._parent)
        if parent is None:
            raise Refused(f"epoch {epoch}: its parent is gone")
        if not parent.is_alive:
            raise Stopped(f"claim {self._parent.hex()} is dead")
        stake_from = await self._bring_stake(self._branch)
        data = encode_claim(self._parent, epoch, trace.post_root, trace.history, trace.nodes, trace.siblings, stake_from)
        value = 0 if stake_from != ZERO else self._deployment.params.stake_wei
        if stake_from == ZERO:
            # before it is paid: whoever is killed in between must find it again, and not pay another one
            self._items.put(STAKE, b"", claim_id)
        name = f"claim:{claim_id.hex()}"
        reason = await self._transact(data, value, CLAIM_GAS, name)
        claim = await self._get_claim(claim_id)
        if claim is None:
            raise self._refuse(name, f"the claim of epoch {epoch} is not there: {reason}")
        if not reason:
            self._log("claims.claimed", {"epoch": epoch, "claim": claim_id, "paid": value})
        return claim

    async def _bring_stake(self, branch: list[bytes]) -> bytes:
        """Our stake, along the branch to its end, whoever made the claims there; zero if none of ours sits on it."""
        stake = self._items.get(STAKE, b"")
        if stake is None:
            return ZERO
        owner, tip = await read(self._client, "Claims", self._claims, "stakes", (stake,))
        if owner != int.from_bytes(self._sender.address, "big") or tip not in branch:
            return ZERO
        for child in branch[branch.index(tip) + 1 :]:
            name = f"advance:{stake.hex()}:{child.hex()}"
            reason = await self._transact(encode_advance_stake(stake, child), 0, ADVANCE_GAS, name)
            _, tip = await read(self._client, "Claims", self._claims, "stakes", (stake,))
            if tip != child:
                raise self._refuse(name, f"the stake is not on claim {child.hex()}: {reason}")
            self._log("claims.advanced", {"stake": stake, "claim": child})
        return stake

    async def _transact(self, data: bytes, value: int, gas: int, name: str) -> str:
        """Once its outcome is known: empty, or why L1 refused it. What became of it a reorganisation may change: look."""
        try:
            receipt = await self._sender.send(self._claims, data, value, gas, f"{name}#{self._refusals.get(name, 0)}")
        except NotSent as error:
            raise self._refuse(name, str(error)) from error
        return "" if receipt.ok else decode_reason(receipt.reason) or "reverted"

    def _refuse(self, name: str, reason: str) -> Refused:
        self._refusals[name] = self._refusals.get(name, 0) + 1
        return Refused(reason)

    async def _get_claim(self, claim_id: bytes) -> ClaimView | None:
        """None if there is none: the view reverts."""
        try:
            return await get_claim(self._client, self._claims, claim_id)
        except RpcError as error:
            if error.data is None:
                raise
            return None

    async def _finalize(self) -> None:
        """What has won, in order from the root; anyone may have done it already."""
        while self._unfinal:
            parent, claim_id = self._unfinal[0]
            claim = await self._get_claim(claim_id)
            if claim is None:
                raise Refused(f"claim {claim_id.hex()} is gone")
            if not claim.is_alive:
                raise Stopped(f"claim {claim_id.hex()} is dead")
            if not claim.is_final:
                if (await get_position(self._client, self._claims, parent)).winner != claim_id:
                    return
                receipt = await self._sender.send(self._claims, encode_finalize(claim_id), 0, FINALIZE_GAS)
                self._log("claims.final", {"claim": claim_id, "ok": receipt.ok})
                claim = await self._get_claim(claim_id)
                if claim is None or not claim.is_final:
                    raise Refused(f"claim {claim_id.hex()} is not final: {decode_reason(receipt.reason)}")
            self._unfinal.pop(0)


async def _start_worker(*, task_status: trio.TaskStatus[trio.Process]) -> None:
    await trio.run_process(
        [sys.executable, "-m", "sequencer.tracer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        check=False,
        start_new_session=True,
        task_status=task_status,
    )


async def _send(process: trio.Process, value: Any) -> None:
    assert process.stdin is not None
    try:
        await process.stdin.send_all(pack(value))
    except (trio.BrokenResourceError, OSError) as error:
        raise TracerDied(str(error)) from error


async def _receive(process: trio.Process) -> Any:
    data = await _read_exactly(process, int.from_bytes(await _read_exactly(process, LENGTH_BYTES), "big"))
    return decode(data)


async def _read_exactly(process: trio.Process, size: int) -> bytes:
    assert process.stdout is not None
    data = bytearray()
    while len(data) < size:
        piece = await process.stdout.receive_some(size - len(data))
        if not piece:
            raise TracerDied("the tracer ended")
        data += piece
    return bytes(data)
