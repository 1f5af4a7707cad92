"""The scaffold of a daemon: one nursery, clean stop on a signal, and a ready line.

`service` runs until it is cancelled; it calls `task_status.started(announcement)` when it serves. Then one line of JSON with `"ready":
true` and the announcement goes to stdout, which is all that stdout ever holds: whoever started the process waits for it.
"""

import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import trio

from node.errors import NodeError

COLLECT_AFTER = 50_000  # allocations
EXIT_STOPPED = 0
EXIT_CRASHED = 1
EXIT_REFUSED = 2  # configuration, key, store: the operator must act


class Service(Protocol):
    """A daemon's body."""

    def __call__(self, *, task_status: trio.TaskStatus[Mapping[str, Any]]) -> Awaitable[None]: ...


async def run_service(name: str, service: Service, *, with_parent: bool = False, announce: Callable[[str], None] | None = None) -> None:
    """Until SIGTERM or SIGINT, the service's end, or, `with_parent`, the end of stdin."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, signals, nursery.cancel_scope)
            if with_parent:
                nursery.start_soon(stop_with_stdin, nursery.cancel_scope)

            async def serve(*, task_status: trio.TaskStatus[Mapping[str, Any]]) -> None:
                await service(task_status=task_status)
                nursery.cancel_scope.cancel()

            announcement = await nursery.start(serve)
            line = json.dumps({"ready": True, "daemon": name, "pid": os.getpid()} | dict(announcement))
            (announce or _print_line)(line)


async def _stop_on_signal(signals: Any, scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()
        return


async def stop_with_stdin(scope: trio.CancelScope) -> None:
    """Cancels the scope when stdin ends: whoever started us is gone."""
    async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
        while await stdin.receive_some(4096):
            continue
    scope.cancel()


def _print_line(line: str) -> None:
    settle_collector()
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def settle_collector() -> None:
    """What is loaded by now stays: the collector need not walk it again and again. And the hot path makes no cycles, only many short-lived
    tuples, which every 700th allocation would otherwise have it look for.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def find_refusal(error: BaseException) -> NodeError | None:
    """The operator's error inside whatever nurseries wrapped it in; None if a bug came along with it, which must not be hidden."""
    if isinstance(error, NodeError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [find_refusal(inner) for inner in error.exceptions]
        return None if None in found else found[0]
    return None


def run_daemon(name: str, service: Service, *, with_parent: bool = False) -> int:
    """The process's exit code. What the operator must mend is one line on stderr; a bug of ours crashes with its traceback."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # a core would hold the key
    try:
        trio.run(lambda: run_service(name, service, with_parent=with_parent))
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except (NodeError, BaseExceptionGroup) as error:
        refusal = find_refusal(error)
        if refusal is None:
            raise
        sys.stderr.write(
            json.dumps({"level": "error", "daemon": name, "event": "refused", "code": refusal.code, "error": refusal.message}) + "\n"
        )
        return EXIT_REFUSED
    return EXIT_STOPPED
