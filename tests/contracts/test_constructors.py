"""A deployment with parameters that the rules cannot live with does not come into being."""

import re
from pathlib import Path
from typing import Any

import pytest

from contracts import load_artifact
from protocol.keccak import ZERO
from protocol.types import Phase
from sim.evm import Contract, Reverted, compute_create_address
from tests.contracts.world import GENESIS_ROOT, World, load_toy

SOURCES = Path(__file__).resolve().parents[2] / "contracts" / "l1"
NOBODY = "0x" + "00" * 19 + "77"  # an address without code
LARGEST = 2**256 - 1
CLAIMS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("claims: bad height", {"height": height}) for height in (0, 2, 7, 30, 32, LARGEST)),
    ("claims: no genesis", {"genesis_root": ZERO}),
    ("claims: no judge", {"judge": NOBODY}),
    *(("claims: bad size of groups", {"group_bits": bits}) for bits in (0, 6, LARGEST)),
    ("claims: bad times", {"grace_s": 0}),
    ("claims: bad times", {"entry_s": 2**32 - 140}),
    ("claims: bad times", {"censorship_s": 2**32 - 50}),
    ("claims: bad times", {"grace_s": 2**32 - 150}),
)
INBOX: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    ("inbox: bad parameters", change) for change in ({"epoch_s": 0}, {"silence_s": 0}, {"batch_depth": 17}, {"batch_depth": LARGEST})
)
VAULT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("vault: the inbox expects another vault", {"is_expected": False}),
    ("vault: the claims read another inbox", {"is_read": False}),
    ("vault: no token", {"token": NOBODY}),
    *(("vault: outbox too deep", {"outbox_depth": depth}) for depth in (33, LARGEST)),
)
JUDGE = "judge: a step is missing"


def read_reasons() -> set[str]:
    """Of every assertion in a constructor of L1's contracts and of their parts."""
    texts = [path.read_text() for path in SOURCES.rglob("*.vy")]
    bodies = [body for text in texts for body in re.findall(r"^@deploy\ndef __init__\(.*?(?=^\S(?!:))", text + "\n#", re.M | re.S)]
    return {reason for body in bodies for reason in re.findall(r'assert .*, "(.+)"', body)}


def deploy_claims(world: World, **changes: Any) -> Contract:
    """As the world's, but for the changes."""
    t = world.times
    good = {
        "inbox": world.inbox.address,
        "judge": world.judge.address,
        "genesis_root": GENESIS_ROOT,
        "height": 8,
        "group_bits": 5,
        "entry_s": t.entry_s,
        "censorship_s": t.censorship_s,
        "grace_s": t.grace_s,
        "stake": world.stake_wei,
    }
    assert changes.keys() <= good.keys()
    return world.evm.deploy(world.deployer, load_artifact("Claims"), *(good | changes).values())


def deploy_inbox(world: World, **changes: Any) -> Contract:
    """The same."""
    good = {
        "sequencer": world.sequencer,
        "vault": world.vault.address,
        "epoch_s": 10,
        "inclusion_delay_s": 10,
        "header_window_s": 600,
        "batch_depth": 3,
        "silence_s": 1_000,
    }
    assert changes.keys() <= good.keys()
    return world.evm.deploy(world.deployer, load_artifact("Inbox"), *(good | changes).values())


def deploy_vault(world: World, is_expected: bool = True, is_read: bool = True, token: str = "", outbox_depth: int = 4) -> Contract:
    """With an inbox of its own that expects it, and claims that read that inbox; or not."""
    evm = world.evm
    vault = compute_create_address(world.deployer, evm.get_nonce(world.deployer) + 2)
    inbox = deploy_inbox(world, vault=vault if is_expected else world.vault.address)
    claims = deploy_claims(world, inbox=inbox.address if is_read else world.inbox.address)
    args = (token or world.token.address, inbox.address, claims.address, 9, outbox_depth)
    return evm.deploy(world.deployer, load_artifact("Vault"), *args)


def test_constructors__every_reason_to_refuse__is_tried_here() -> None:
    assert read_reasons() == {reason for reason, _ in (*CLAIMS, *INBOX, *VAULT)} | {JUDGE}


@pytest.mark.parametrize(("reason", "change"), CLAIMS)
def test_claims__parameter_that_the_rules_cannot_live_with__refused(reason: str, change: dict[str, Any]) -> None:
    with pytest.raises(Reverted) as refusal:
        deploy_claims(World(), **change)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "change",
    [{}, {"height": 4}, {"height": 28}, {"group_bits": 1}, {"grace_s": 1}, {"entry_s": 2**32 - 141}, {"entry_s": 0, "censorship_s": 0}],
)
def test_claims__parameter_at_its_edge__deployed(change: dict[str, Any]) -> None:
    world = World()
    claims = deploy_claims(world, **change)
    grace, censorship = change.get("grace_s", world.times.grace_s), change.get("censorship_s", world.times.censorship_s)
    rounds = change.get("height", 8) // 4
    assert world.evm.call(claims, "ROUND_S") == 2 * censorship + (rounds + 2) * grace


def test_claims__sum_of_times_that_wraps__refused() -> None:
    """Checked arithmetic says so before the rule can."""
    with pytest.raises(Reverted):
        deploy_claims(World(), entry_s=LARGEST)


def test_claims__inbox_without_code__refused() -> None:
    with pytest.raises(Reverted):
        deploy_claims(World(), inbox=NOBODY)


@pytest.mark.parametrize(("reason", "change"), INBOX)
def test_inbox__parameter_that_the_rules_cannot_live_with__refused(reason: str, change: dict[str, Any]) -> None:
    with pytest.raises(Reverted) as refusal:
        deploy_inbox(World(), **change)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("change", [{}, {"epoch_s": 1}, {"silence_s": 1}, {"batch_depth": 0}, {"batch_depth": 16}])
def test_inbox__parameter_at_its_edge__deployed(change: dict[str, Any]) -> None:
    world = World()
    inbox = deploy_inbox(world, **change)
    assert world.evm.call(inbox, "last_post") == world.evm.timestamp  # a time of zero would be a silence without end


@pytest.mark.parametrize(("reason", "change"), VAULT)
def test_vault__contracts_that_do_not_fit__refused(reason: str, change: dict[str, Any]) -> None:
    with pytest.raises(Reverted) as refusal:
        deploy_vault(World(), **change)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("depth", [4, 32])
def test_vault__contracts_that_fit__deployed(depth: int) -> None:
    world = World()
    assert world.evm.call(deploy_vault(world, outbox_depth=depth), "OUTBOX_DEPTH") == depth


@pytest.mark.parametrize("missing", list(Phase), ids=lambda phase: phase.name)
def test_judge__step_without_code__refused(missing: Phase) -> None:
    world = World()
    steps = [NOBODY if phase == missing else world.toy.address for phase in Phase]
    selectors = [load_toy("ToyStep").get_selector("step")] * len(Phase)
    with pytest.raises(Reverted) as refusal:
        world.evm.deploy(world.deployer, load_artifact("Judge"), steps, selectors)
    assert refusal.value.reason == JUDGE
