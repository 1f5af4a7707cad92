"""The scaffold in a real process: the ready line, the clean stop, the refusal."""

import json
import signal
import subprocess
import sys
import textwrap

import pytest

DAEMON = textwrap.dedent(
    """
    import resource, sys, trio
    from node.errors import NodeCode, NodeError
    from node.runtime import run_daemon

    async def service(*, task_status):
        if sys.argv[1] == "refuse":
            async with trio.open_nursery():
                raise NodeError(NodeCode.KEY, "no key")
        if sys.argv[1] == "both":
            raise ExceptionGroup("two", [NodeError(NodeCode.KEY, "no key"), ExceptionGroup("one", [ValueError("a bug")])])
        if sys.argv[1] == "crash":
            raise ValueError("a bug")
        core, _ = resource.getrlimit(resource.RLIMIT_CORE)
        task_status.started({"port": 7, "core": core})
        try:
            await trio.sleep_forever()
        finally:
            sys.stderr.write("cleaned up\\n")

    sys.exit(run_daemon("test", service, with_parent=sys.argv[1] == "parent"))
    """
)


def start(mode: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", DAEMON, mode], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_ready_and_clean_stop() -> None:
    with start("run") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready == {"ready": True, "daemon": "test", "pid": process.pid, "port": 7, "core": 0}
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out, errors) == (0, "", "cleaned up\n")


def test_stops_with_its_parent() -> None:
    with start("parent") as process:
        assert process.stdout is not None
        process.stdout.readline()
        _, errors = process.communicate(timeout=20)  # closes stdin
    assert (process.returncode, errors) == (0, "cleaned up\n")


def test_a_refusal_is_one_line_with_a_code() -> None:
    with start("refuse") as process:
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert json.loads(errors)["code"] == "key"


@pytest.mark.parametrize("mode", ["crash", "both"])
def test_a_bug_crashes_loudly(mode: str) -> None:
    with start(mode) as process:
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert "a bug" in errors
    assert "Traceback" in errors
