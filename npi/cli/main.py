"""``npi``: the command line.

Commands return by exit code: 0 done; 1 not reached (not solved, below 100 %, a wrong result); 2 bad input, with one
message that says where and how to fix it; 130 interrupted, 143 by SIGTERM. Anything else that goes wrong is a bug, with
a traceback.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

import npi
from envs.support.gym_names import add_name
from envs.support.plugins import VARIABLE
from npi.cli import (
    certify,
    check,
    demo,
    evaluate,
    examples,
    fmt,
    graph,
    learn,
    library,
    lsp,
    reproduce,
    run,
    show,
    trace,
    train,
    voices,
)
from npi.cli import compile as compiling
from npi.cli.console import BAD_INPUT, DONE, NOT_REACHED
from npi.cli.interrupts import answered, end_with_command, interrupted_status
from npi.cli.options import option
from npi.cli.streams import flushed, put, settle, visible

TRACEBACK = "NPI_TRACEBACK"
"""Where this variable of the environment is set, errors show where in the code they arose."""

HELP = (
    "Write programs in a small language, let a network core learn to run them, add the next one as one row of "
    "numbers.\n\nThe way of a program: check FILE, then train FILE, then run TASK and eval; learn FILE adds "
    "programs to a core that no longer changes. Begin with: npi demo"
)
EPILOG = (
    "Exit status 0: done. 1: not reached (not solved, a wrong result, below 100 %). 2: bad input. 130: interrupted, "
    "143 by SIGTERM."
)

COMMANDS = (
    ("check", check.check, "Check program files, and try their tasks."),
    ("fmt", fmt.fmt, "Format program files."),
    ("graph", graph.graph, "Draw which program calls which."),
    ("trace", trace.trace, "Record runs of a task, to train on."),
    ("merge", trace.merge, "Put parts of a trace set together."),
    ("show", show.show, "Read a run, or see what a library holds."),
    ("train", train.train, "Train one core on several programs."),
    ("run", run.run, "Run a task on your inputs, and watch it."),
    ("eval", evaluate.evaluate, "Measure accuracy by size."),
    ("certify", certify.certify, "Prove programs for every input."),
    ("compile", compiling.compile_library, "Write a core as tables, in one fast file."),
    ("learn", learn.learn, "Add programs to a core that is frozen."),
    ("lsp", lsp.lsp, "Serve an editor."),
    ("demo", demo.demo, "All of it, in under three minutes."),
    ("examples", examples.examples, "Program files and trained cores that come with the engine."),
    ("reproduce", reproduce.reproduce, "The tables and curves of a paper, made again."),
)


GROUPS = (
    ("library", library.COMMANDS, "List, pack, add, remove and combine learned programs."),
    ("voices", voices.COMMANDS, "Make, prepare and list recorded voices."),
)
"""Words that commands of their own follow."""


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its errors told as the exit codes say."""

    @functools.wraps(command)
    def run_command(*args: Any, **kwargs: Any) -> None:
        try:
            with answered():
                command(*args, **kwargs)
        except KeyboardInterrupt:
            _tell("interrupted")
            raise typer.Exit(interrupted_status()) from None
        except (ValueError, LookupError, OSError, ArithmeticError, MemoryError, RuntimeError) as error:
            message = complaint(error)
            if message is None or os.environ.get(TRACEBACK):
                raise
            _tell(message)
            raise typer.Exit(BAD_INPUT) from None

    return run_command


def complaint(error: Exception) -> str | None:
    """What to tell the user about an error; None where it is not about the input but a bug.

    A ``KeyError`` or ``IndexError`` that is meant for people is a sentence; a bare key or number is not.
    """
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return f"{what}; check the path and what may be read and written there"
    text = str(error.args[0]) if error.args else ""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in text):
        return f"not enough memory ({text or 'none is left'}); ask for less at once: fewer or smaller inputs or traces"
    if isinstance(error, RuntimeError):
        return None
    if isinstance(error, UnicodeError):
        return f"{error}; write texts and names in UTF-8"
    if isinstance(error, LookupError):
        return text if len(text.split()) > 2 and "out of range" not in text else None
    if isinstance(error, ArithmeticError) and not isinstance(error, FloatingPointError):
        return None
    return text or None


def _tell(message: str) -> None:
    with suppress(OSError):
        put(sys.stderr, f"npi: {visible(message)}\n")


def add_commands(to: typer.Typer, commands: Sequence[tuple[str, Callable[..., None], str]]) -> None:
    """Each with the text of its function as help, the example last."""
    for name, command, summary in commands:
        about, mark, example = inspect.cleandoc(command.__doc__ or "").partition("\b\nExample:\n")
        to.command(name, short_help=summary, help=about, epilog=mark + example)(guarded(command))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"npi {npi.__version__}")
        raise typer.Exit


def _options(
    gym: Annotated[
        list[str] | None,
        option("--gym", "A name for a Gymnasium environment that a module of yours registers.", "NAME=package:ID"),
    ] = None,
    version: Annotated[
        bool, option("--version", "Print the version and end.", callback=_version, is_eager=True)
    ] = False,
    plugin: Annotated[
        list[str] | None,
        option(
            "--plugin", f"Import a Python module that registers worlds of yours; {VARIABLE} names such, too.", "MODULE"
        ),
    ] = None,
) -> None:
    if plugin:
        os.environ[VARIABLE] = ",".join([*filter(None, [os.environ.get(VARIABLE)]), *plugin])
    for text in gym or ():
        guarded(add_name)(text)


def made(only: str = "") -> typer.Typer:
    """The application, of one command or group where there is one of that name: Typer reads each that it has."""
    app = typer.Typer(
        name="npi", help=HELP, epilog=EPILOG, rich_markup_mode=None, no_args_is_help=True,
        pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}, callback=_options,
    )  # fmt: skip
    known = {name for name, *_ in (*COMMANDS, *GROUPS)}
    add_commands(app, [command for command in COMMANDS if only not in known or command[0] == only])
    for word, commands, summary in GROUPS:
        if only in known and word != only:
            continue
        group = typer.Typer(
            help=summary, short_help=summary, rich_markup_mode=None, no_args_is_help=True,
            pretty_exceptions_enable=False,
        )  # fmt: skip
        add_commands(group, commands)
        app.add_typer(group, name=word)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; ``argv`` without the program's name."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small tensors: one thread is quicker, and the same everywhere
    if argv is None:
        end_with_command()
        settle()
    words = list(sys.argv[1:] if argv is None else argv)
    code = DONE
    try:
        made(words[0] if words else "")(args=words, prog_name="npi")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else NOT_REACHED if end.code else DONE
    except OSError:
        if argv is not None:
            raise
        code = NOT_REACHED  # help could not be printed; commands are guarded
    error = flushed() if argv is None else None
    if error is not None and code != BAD_INPUT:  # else it has been told
        _tell(complaint(error) or str(error))
    return BAD_INPUT if error is not None else code


if __name__ == "__main__":
    sys.exit(main())
