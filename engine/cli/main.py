"""`quell`: the verbs, and how their errors become exit codes.

0 fine, 1 findings or refused, 2 usage or configuration, 3 server unreachable or the run failed.
"""

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

from engine.cli.output import complain
from engine.errors import (
    ConfigError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadError,
    PermanentError,
    QuellError,
    TransientError,
)
from engine.logs import configure_logs, mask_streams

FINE, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3

# Each verb and its module, in the order of the help. A module's imports take longer than most
# verbs do, so only the one that was asked for is loaded.
VERBS = {
    "up": "serve",
    "serve": "serve",
    "demo": "demo",
    "check": "check",
    "emergency-test": "emergency_test",
    "test": "test",
    "explain": "explain",
    "replay": "replay",
    "new": "new",
    "schema": "schema",
    "docs": "docs",
    "plan": "plan",
    "permissions": "permissions",
    "run": "run",
    "rollback": "run",
    "approve": "decide",
    "reject": "decide",
    "answer": "answer",
    "keep": "keep",
    "stop": "stop",
    "resume": "stop",
    "cancel": "stop",
    "silence": "silence",
    "changed": "changed",
    "trust": "trust",
    "locks": "locks",
    "breaker": "breaker",
    "brake": "brake",
    "raises": "raises",
    "incidents": "incidents",
    "waiting": "waiting",
    "audit": "audit",
    "normalize": "normalize",
    "balance": "balance",
    "positions": "positions",
    "dead-letters": "dead_letters",
}


def _end(code: int | None, **_options: object) -> None:
    """What a verb returns is the exit code."""
    raise typer.Exit(code or FINE)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"quell {version('quell')}")
        raise typer.Exit


def _quell(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Turns alerts into finished remediations that people can trust."""


def command_line(verb: str = "") -> typer.Typer:
    """The verbs; this one's module alone when `verb` is one."""
    made = typer.Typer(
        name="quell",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        result_callback=_end,
    )
    made.callback(
        epilog="Exit codes: 0 fine, 1 findings or refused, 2 usage or configuration, "
        "3 server unreachable or the run failed."
    )(_quell)
    modules = [VERBS[verb]] if verb in VERBS else dict.fromkeys(VERBS.values())
    for module in modules:
        import_module(f"engine.cli.{module}").register(made)
    return made


def main() -> None:
    """The console script."""
    if sys.stdin is None:  # closed: an event loop must not get its descriptor for itself
        os.open(os.devnull, os.O_RDONLY)
    mask_streams()
    configure_logs()
    code = execute(sys.argv[1:])
    # The interpreter looks for garbage among all that is there before it ends: half a second.
    gc.freeze()
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Run one verb and return its exit code; what goes wrong is one sentence, never a trace."""
    try:
        command_line(*arguments[:1])(arguments, prog_name="quell")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FINE
    except QuellError as error:
        complain(str(error))
        return exit_code(error)
    except Exception as error:  # noqa: BLE001 - nothing above would catch it
        return _unexpected(error)
    return FINE


def exit_code(error: QuellError) -> int:
    """The code of an error that reached the top."""
    match error:
        case ConfigError() | NotFoundError() | PayloadError():
            return USAGE
        case TransientError() | OutcomeUnknownError():
            return UNREACHABLE
        case PermanentError():
            return USAGE
        case _:
            return REFUSED


def _unexpected(error: Exception) -> int:
    """A group of quell's own errors, or a fault in quell itself.

    A fault is told by its kind and its place: its message might hold a secret.
    """
    errors = list(_leaves(error))
    own = [each for each in errors if isinstance(each, QuellError)]
    if len(own) == len(errors):
        for each in own:
            complain(str(each))
        return max(exit_code(each) for each in own)
    for fault in errors:
        if not isinstance(fault, QuellError):
            frames = traceback.extract_tb(fault.__traceback__)
            place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            complain(
                f"quell stopped on a fault of its own: {type(fault).__name__}{place}; "
                "please report it with this line and the verb"
            )
    return UNREACHABLE


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
