"""Children start, announce themselves, and never outlive their family."""

import signal
from pathlib import Path

import pytest
import trio

from sim.process import Child, ChildFailed, Family, parse_ready

SLEEPER = """
import json, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"ready": True, "grandchild": child.pid}), flush=True)
time.sleep(600)
"""


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)


def is_alive(pid: int) -> bool:
    """Zombies are not: nobody may have waited for a grandchild yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def start(folder: Path, name: str) -> tuple[Child, int]:
    """Runs `name` for as long as it takes to leave the family."""
    async with trio.open_nursery() as nursery:
        async with Family(nursery, folder / "logs") as family:
            child = await family.start(name, [name], 20)
            assert is_alive(child.ready["grandchild"])
        nursery.cancel_scope.cancel()
    return child, child.ready["grandchild"]


async def test_family__left__children_and_theirs_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write(tmp_path, "sleeper", SLEEPER)
    child, grandchild = await start(tmp_path, "sleeper")
    assert child.process.returncode is not None
    with trio.fail_after(5):
        while is_alive(grandchild):  # noqa: ASYNC110 - it is another process
            await trio.sleep(0.05)


async def test_family__killed_child__is_gone_at_once_and_the_world_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write(tmp_path, "stubborn", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER)
    async with trio.open_nursery() as nursery:
        async with Family(nursery, tmp_path / "logs") as family:
            child = await family.start("stubborn", ["stubborn"], 20)
            with trio.fail_after(2):
                await family.kill(child)
            assert child.process.returncode == -signal.SIGKILL
            await trio.sleep(0.2)
        nursery.cancel_scope.cancel()
    assert not is_alive(child.ready["grandchild"])


async def test_family__child_that_refuses__names_its_log_and_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write(tmp_path, "refuser", "import sys\nsys.stderr.write('first\\nno such key\\n')\nsys.exit(2)\n")
    with pytest.raises(ExceptionGroup) as caught:
        await start(tmp_path, "refuser")
    assert caught.group_contains(ChildFailed, match=r"refuser ended with code 2, see .*: no such key")


async def test_family__child_that_dies_later__ends_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write(tmp_path, "mortal", "import sys, time\nprint('{\"ready\": true}', flush=True)\ntime.sleep(0.3)\nsys.exit(3)\n")
    with pytest.raises(ExceptionGroup) as caught:
        await run_mortal(tmp_path)
    assert caught.group_contains(ChildFailed, match="mortal ended with code 3")


async def run_mortal(folder: Path) -> None:
    async with trio.open_nursery() as nursery, Family(nursery, folder / "logs") as family:
        await family.start("mortal", ["mortal"], 20)
        await trio.sleep(20)


def test_parse_ready__anything_but_an_object__is_not_an_announcement() -> None:
    assert parse_ready(b'{"port": 1}') == {"port": 1}
    assert parse_ready(b"[1]") is None
    assert parse_ready(b"Listening on 1") is None
