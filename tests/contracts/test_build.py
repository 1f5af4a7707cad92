"""The build is reproducible, notices every difference, and refuses what cannot be deployed."""

import json
import shutil
from pathlib import Path

import pytest

from contracts import build, load_artifact
from contracts.build import BuildError, compile_artifact, encode_artifact
from tests.contracts.chain import PyEvm

L1 = ("Claims", "Inbox", "Judge", "Token", "Vault")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two small contracts elsewhere on the disk."""
    here = tmp_path / "elsewhere"
    for folder in ("l1", "steps", "lib"):
        (here / folder).mkdir(parents=True)
    (here / "lib" / "half.vy").write_text("@internal\n@pure\ndef _halve(x: uint256) -> uint256:\n    return x // 2\n")
    source = "from ..lib import half\n\n@external\n@pure\ndef halve(x: uint256) -> uint256:\n    return half._halve(x)\n"
    (here / "steps" / "Half.vy").write_text(source)
    shutil.copy(build.HERE / "l1" / "Token.vy", here / "l1")
    monkeypatch.setattr(build, "HERE", here)
    monkeypatch.setattr(build, "ARTIFACTS", here / "artifacts")
    monkeypatch.setattr(build, "SIZES", here / "snapshots" / "sizes.json")
    return here


def test_artifacts_do_not_depend_on_where_they_are_built(copy: Path) -> None:
    there = compile_artifact(copy / "l1" / "Token.vy", copy)
    committed = load_artifact("Token")
    assert bytes.fromhex(there["bytecode"]) == committed.bytecode
    assert str(copy) not in encode_artifact(there)


def test_check_notices_every_difference(copy: Path) -> None:
    assert build.main(["--check"]) == 1  # nothing is there
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    half, sizes = copy / "artifacts" / "Half.json", copy / "snapshots" / "sizes.json"
    for path, text in ((half, half.read_text().replace("cancun", "prague")), (sizes, "{}\n")):
        right = path.read_text()
        path.write_text(text)
        assert build.main(["--check"]) == 1
        path.write_text(right)
        assert build.main(["--check"]) == 0
    (copy / "artifacts" / "Ghost.json").write_text(half.read_text())
    assert build.main(["--check"]) == 1


def test_only_what_changed_is_compiled_and_a_library_counts(copy: Path) -> None:
    build.main([])
    half = copy / "artifacts" / "Half.json"
    stamp = half.stat().st_mtime_ns
    build.main([])
    assert half.stat().st_mtime_ns == stamp
    library = copy / "lib" / "half.vy"
    library.write_text(library.read_text().replace("x // 2", "x // 3"))
    assert build.main(["--check"]) == 1
    before = json.loads(half.read_text())["bytecode"]
    token = copy / "artifacts" / "Token.json"
    stamp = token.stat().st_mtime_ns
    build.main([])
    assert json.loads(half.read_text())["bytecode"] != before
    assert token.stat().st_mtime_ns == stamp  # it does not import the library


def test_a_broken_source_stops_nothing_but_itself(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "l1" / "Broken.vy").write_text("this is not Vyper\n")
    assert build.main([]) == 2
    assert (copy / "artifacts" / "Token.json").exists()
    assert "Broken.vy" in capsys.readouterr().err
    assert build.main(["Nobody"]) == 2


def test_code_over_the_limit_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, size = copy / "l1" / "Token.vy", load_artifact("Token").runtime_size
    assert build.MAX_RUNTIME == 24_576
    monkeypatch.setattr(build, "MAX_RUNTIME", size)
    compile_artifact(source, copy)
    monkeypatch.setattr(build, "MAX_RUNTIME", size - 1)
    with pytest.raises(BuildError, match=f"runtime of {size} bytes is over"):
        compile_artifact(source, copy)


@pytest.mark.parametrize("name", L1)
def test_the_committed_artifacts_are_current_and_their_sizes_true(name: str) -> None:
    path = build.HERE / "l1" / f"{name}.vy"
    assert build.is_current(path, build.ARTIFACTS / f"{name}.json"), "run python -m contracts.build"
    assert json.loads(build.SIZES.read_text())[name] == load_artifact(name).runtime_size <= build.MAX_RUNTIME


def test_the_recorded_size_is_what_a_deployment_puts_on_chain() -> None:
    evm = PyEvm()
    who = evm.create_account()
    artifact = load_artifact("Inbox")
    contract = evm.deploy(who, artifact, who, who, 10, 10, 600, 12, 1_000)
    assert len(evm.get_code(contract.address)) == artifact.runtime_size
    with pytest.raises(KeyError):
        artifact.get_selector("nothing")
    with pytest.raises(FileNotFoundError):
        load_artifact("Nobody")
