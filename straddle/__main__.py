"""`straddle`: one command for everything. Exit codes: 0 done, 1 failed or crashed, 2 refused (usage, configuration, key, file)."""

import importlib
import sys
from typing import Any

import click

from straddle.errors import describe_refusal

EXIT_FAILED = 1
EXIT_REFUSED = 2
COMMANDS = ("devnet", "deploy", "sequencer", "challenger", "withdraw", "sim", "demo", "exit-drill")
EPILOG = """\b
Exit codes: 0 done, 1 failed or crashed (a traceback is a bug of ours), 2 refused: the message says what to mend.
Start here: straddle demo"""


class Commands(click.Group):
    """Subcommands by module, so that `--help` imports nothing that is heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"straddle.commands.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="straddle")
def cli() -> None:
    """Straddle: an exchange for options on two layers, where every step can be proven on Ethereum."""


def main(arguments: list[str] | None = None) -> None:
    """Ends the process with one of the codes above. What its user can mend is one line on stderr."""
    try:
        code: Any = cli.main(args=arguments, prog_name="straddle", standalone_mode=False)
    except click.Abort:
        sys.stderr.write("straddle: stopped\n")
        code = EXIT_FAILED
    except click.ClickException as error:
        error.show()
        code = EXIT_REFUSED
    except KeyboardInterrupt:
        code = EXIT_FAILED
    except Exception as error:
        message = describe_refusal(error)
        if message is None:
            raise
        sys.stderr.write(f"straddle: {message}\n")
        code = EXIT_REFUSED
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
