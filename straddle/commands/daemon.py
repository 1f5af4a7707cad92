"""What the subcommands of all daemons have: a file, overrides, and the defaults on demand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def parse_overrides(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`field=value` texts."""
    pairs = [value.partition("=") for value in values]
    if any(not separator or not name for name, separator, _ in pairs):
        raise click.BadParameter("takes FIELD=VALUE, such as l1.confirmations=3")
    return {name: value for name, _, value in pairs}


def add_daemon_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--config, --set, --with-parent, --print-default."""
    options = (
        click.option("--config", "config", type=click.Path(path_type=Path), help="TOML file; defaults for what it leaves out."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="FIELD=VALUE",
            callback=parse_overrides,
            help="Override a field, such as l1.confirmations=3; once for each.",
        ),
        click.option("--with-parent", is_flag=True, help="Stop when stdin closes."),
        click.option("--print-default", is_flag=True, help="Print the default configuration and stop."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def run_actor(
    name: str, kind: Any, run: Any, config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool
) -> int:
    """An actor as a daemon; the exit code."""
    import functools

    from node.config import encode_config
    from node.runtime import run_daemon
    from sim.actors.config import load_actor

    if print_default:
        click.echo(encode_config(kind()), nl=False)
        return 0

    async def service(*, task_status: Any) -> None:
        await functools.partial(run, load_actor(config, kind, overrides), task_status=task_status)()

    return run_daemon(name, service, with_parent=with_parent)
