"""``npi fmt``: program files in the one canonical layout."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from envs.support.user_files import real_path
from npi.cli.console import BAD_INPUT, Screen, finish
from npi.cli.options import argument, option
from npi.cli.words import plural

STDIN, STDIN_NAME = Path("-"), "<stdin>"


def fmt(
    files: Annotated[list[Path], argument("Program files, or folders of *.npi; - is standard input.")],
    check: Annotated[bool, option("--check", "Write nothing; exit status 1 if a file would change.")] = False,
    diff: Annotated[bool, option("--diff", "Write nothing; print what would change.")] = False,
) -> None:
    """Format program files: indentation, spaces and empty lines; comments stay.

    What a program means does not change, and a file that is formatted already is not touched. A file is written whole
    or not at all. A file that does not parse is reported and left as it is; the others are formatted. Of standard input
    the formatted text goes to standard output.

    \b
    Example:
      npi fmt programs
      npi fmt --check --diff programs/addition.npi
    """
    screen = Screen()
    if STDIN in files:
        if len(files) > 1:
            raise ValueError("- is standard input, and stands alone; format files in a call of their own")
        finish(not (_format_stdin(screen, check=check, diff=diff) and check))
        return
    changed, broken = 0, 0
    paths = list(dict.fromkeys(path for given in files for path in program_files(given)))
    for path in paths:
        try:
            changed += _format(screen, path, check=check, diff=diff)
        except ValueError as error:
            screen.note(str(error))
            broken += 1
    would = "would change" if check or diff else "changed"
    screen.note(f"{plural(len(paths), 'file')}: {changed} {would}, {broken} could not be read")
    if broken:
        raise typer.Exit(BAD_INPUT)
    finish(not (check and changed))


def _format_stdin(screen: Screen, *, check: bool, diff: bool) -> bool:
    """Format standard input; returns whether it changed, or would."""
    from dsl.check.modules import text_of
    from dsl.formatting.formatter import format_file

    before = text_of(sys.stdin.buffer, STDIN_NAME)
    after = format_file(before, path=STDIN_NAME)
    if diff:
        screen.lines(_difference(before, after, Path(STDIN_NAME)))
    elif not check:
        sys.stdout.write(after)
    return after != before


def program_files(given: Path) -> Iterator[Path]:
    """The file itself, or every program file below a folder; raises ``ValueError`` for a folder without any."""
    if not given.is_dir():
        yield given
        return
    found = sorted(path for path in given.rglob("*.npi") if path.is_file())
    if not found:
        raise ValueError(f"{given} has no program files (*.npi); give a file, or a folder that has some")
    yield from found


def _format(screen: Screen, path: Path, *, check: bool, diff: bool) -> bool:
    """Format one file; returns whether it changed, or would."""
    from dsl.check.modules import read_text
    from dsl.formatting.formatter import format_file

    before = read_text(path)
    after = format_file(before, path=str(path))
    if after == before:
        return False
    if diff:
        screen.lines(_difference(before, after, path))
    else:
        screen.line(str(path))
    if not (check or diff):
        _replace(real_path(path), after)
    return True


def _difference(before: str, after: str, path: Path) -> Iterator[str]:
    """A unified diff; a changed line end is shown as a changed line."""
    old, new = before.split("\n"), after.split("\n")
    for line in difflib.unified_diff(old, new, f"{path} as it is", f"{path} formatted", lineterm=""):
        yield line.replace("\r", "\\r")


def _replace(path: Path, text: str) -> None:
    """Write the file whole or not at all; who may read and write it stays."""
    from envs.support.atomic_files import write_whole

    mode = path.stat().st_mode & 0o7777
    write_whole(path, text.encode())
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
