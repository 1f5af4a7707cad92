"""The command line as its users see it: a process, its output, its exit code."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import trio

from challenger.config import ChallengerConfig
from node.config import L1, Config
from sequencer.config import SequencerConfig
from sim.actors.config import LiquidatorConfig, MakersConfig, MarketSection, OracleConfig, TakersConfig
from sim.actors.runtime import place_market, read_deployment
from straddle.__main__ import main
from tests.checks.tree import ROOT

COMMANDS = ("devnet", "deploy", "sequencer", "challenger", "withdraw", "sim", "demo", "exit-drill")
SIM = ("replay", "lies", "oracle", "makers", "takers", "accomplice")


class Result(NamedTuple):
    """Of one command."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """The command's own entry point, in this process: what it imports is imported once for all tests."""

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        return Result(int(stopped.value.code or 0), *capfd.readouterr())

    return call


def spawn(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a process."""
    return subprocess.run([sys.executable, "-m", "straddle", *arguments], capture_output=True, text=True, timeout=60, cwd=cwd, check=False)


def test_help__top__lists_every_command_and_the_exit_codes() -> None:
    result = spawn("--help")
    assert result.returncode == 0
    assert all(f"\n  {name} " in result.stdout for name in COMMANDS)
    assert "Exit codes:" in result.stdout


@pytest.mark.parametrize("words", [*((name,) for name in COMMANDS), *(("sim", name) for name in SIM)], ids=" ".join)
def test_help__each_command__says_what_it_does(words: tuple[str, ...], run: Run) -> None:
    result = run(*words, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: straddle {' '.join(words)}")
    assert not result.stderr


def test_help__imports_nothing_heavy() -> None:
    code = (
        "import sys, straddle.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\nprint(sorted(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.split(".")[0] for name in result.stderr.replace("'", "").strip("[]\n").split(", ")}
    assert not loaded & {"web3", "eth_account", "numpy", "trio", "rich", "protocol", "l1", "node", "sequencer", "challenger"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("sim", "replay"), "Missing argument 'FILE'"),
        (("sim", "replay", "x.csv", "--lie", "white-lie"), "no lie 'white-lie'"),
        (("demo", "--lie", "white-lie"), "no lie 'white-lie'"),
        (("deploy",), "needs --key, --sequencer and --oracle"),
        (("deploy", "--sequencer", "0x12"), "not an address: 0x12"),
        (("sequencer", "--set", "nothing"), "takes FIELD=VALUE"),
        (("withdraw",), "Missing option '--key'"),
        (("devnet", "--port", "70000"), "70000 is not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage__wrong__exit_code_2_and_why(words: tuple[str, ...], message: str, run: Run) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sim", "replay", "missing.csv"), "[quotes]"),
        (("sim", "replay", "bad.csv"), "[quotes]"),
        (("sim", "replay", "good.csv", "--from", "24:30"), "[quotes]"),
        (("sim", "replay", "good.csv", "--to", "noon"), "[quotes]"),
        (("sim", "replay", "."), "[quotes]"),
        (("deploy", "--verify", "--out", "missing.json"), "[deployment]"),
        (("deploy", "--key", "missing.json", "--sequencer", "0x" + "11" * 20, "--oracle", "0x" + "22" * 20), "[key]"),
        (("withdraw", "--key", "missing.json"), "[key]"),
        (("sequencer", "--config", "missing.toml"), "config-unreadable"),
        (("challenger", "--set", "l1.nonsense=1"), "config-field"),
        (("sim", "oracle", "--config", "broken.toml"), "config-syntax"),
        (("sim", "takers", "--set", "rate=-1"), "config-field"),
        (("sim", "makers", "--set", "l1.deployment=missing.json"), "deployment"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else "",
)
def test_refusal__one_line_with_a_code(
    words: tuple[str, ...], code: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.csv").write_text("symbol,timestamp\nBTC-1JAN21-1-C,1\n")
    (tmp_path / "good.csv").write_text(
        "symbol,timestamp,type,strike_price,expiration,underlying_price\nBTC-8JAN21-30000-C,1609459200000000,call,30000,1610092800000000,29000\n"
    )
    (tmp_path / "broken.toml").write_text("keys = [")
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.returncode == 2, result.stderr
    assert code in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_print_default__round_trips(run: Run, tmp_path: Path) -> None:
    for words in (("sequencer",), ("challenger",), ("sim", "oracle"), ("sim", "makers"), ("sim", "takers"), ("sim", "liquidator")):
        result = run(*words, "--print-default")
        assert result.returncode == 0
        path = tmp_path / "default.toml"
        path.write_text(result.stdout)
        assert run(*words, "--config", str(path), "--print-default").stdout == result.stdout


def test_sim_lies__lists_them_all(run: Run) -> None:
    result = run("sim", "lies")
    assert result.returncode == 0
    assert all(name in result.stdout for name in ("minted-root", "overpaid-withdrawal", "spared-account"))


def test_devnet__port_taken__one_line_with_a_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = spawn("devnet", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 2
    assert "[listen]" in result.stderr
    assert "Traceback" not in result.stderr


def find_origin(url: str, named: int) -> int:
    """Where a walk begins whose file says `named`: 0 for the deployment in this folder."""
    config = OracleConfig(l1=L1(url=url), market=MarketSection(origin=named))
    return trio.run(place_market, config, read_deployment(config)).origin


def list_fields(kind: type[Config]) -> set[str]:
    """Dotted, as `--set` takes them."""
    return {
        name if field is None else f"{name}.{field}"
        for name, table in msgspec.to_builtins(kind()).items()
        for field in (table if isinstance(table, dict) else (None,))
    }


@pytest.mark.parametrize("kind", [SequencerConfig, ChallengerConfig, OracleConfig, MakersConfig, TakersConfig, LiquidatorConfig])
def test_guide__explains_every_field_and_has_its_ports(kind: type[Config]) -> None:
    page = (ROOT / "docs/operating/running.md").read_text()
    assert not [field for field in sorted(list_fields(kind)) if f"`{field}`" not in page]
    assert f":{SequencerConfig().server.port}`" in page
    assert OracleConfig().sequencer == f"ws://127.0.0.1:{SequencerConfig().server.port}"


def test_devnet_deploy_verify__as_a_user_does_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain, the contracts on it, and the check that they are what was built; then against a file that says otherwise."""
    from l1.keys import derive_dev_keys, save_dev_key

    monkeypatch.chdir(tmp_path)
    keys = derive_dev_keys(5)
    save_dev_key(tmp_path / "deployer.json", keys[0])
    devnet = subprocess.Popen(
        [sys.executable, "-m", "straddle", "devnet", "--port", "0", "--block-time", "0.3", "--with-parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert devnet.stdout is not None
        ready = json.loads(devnet.stdout.readline())
        url = ready["url"]
        addresses = ["0x" + key.address.hex() for key in keys[1:]]
        oracles = [word for address in addresses[1:] for word in ("--oracle", address)]
        done = run("deploy", "--url", url, "--key", "deployer.json", "--sequencer", addresses[0], *oracles)
        assert done.returncode == 0, done.stderr
        right = run("deploy", "--url", url, "--verify")
        assert (right.returncode, right.stdout.count(" ok\n")) == (0, 29), right.stdout
        assert ready["genesis_time"] <= find_origin(url, 0) <= ready["genesis_time"] + 600
        assert find_origin(url, 7) == 7
        stranger = run("withdraw", "--url", url, "--key", "deployer.json")
        assert (stranger.returncode, stranger.stdout.splitlines()[0]) == (1, f"0x{keys[0].address.hex()} has no account")
        again = run("deploy", "--url", url, "--key", "deployer.json", "--sequencer", addresses[0], *oracles)
        assert again.returncode == 2
        content = json.loads((tmp_path / "deployment.json").read_text())
        content["sequencer"] = addresses[1]
        (tmp_path / "deployment.json").write_text(json.dumps(content))
        wrong = run("deploy", "--url", url, "--verify")
        assert wrong.returncode == 1
        assert [line.split()[0] for line in wrong.stdout.splitlines() if "WRONG" in line] == ["Inbox"]
        assert all(f"[{code}]" in wrong.stdout for code in ("arguments-other", "creation-other", "wiring-other"))
    finally:
        devnet.terminate()
        code = devnet.wait(10)
        devnet.communicate()
    assert code == 0
