"""``npi examples``: the program files and trained cores that come with the engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from npi.cli.console import Column, Screen
from npi.cli.options import JsonOption, option
from npi.cli.words import plural


def examples(
    copy: Annotated[Path | None, option("--copy", "Copy the program files into this folder.", "DIR")] = None,
    json: JsonOption = False,
) -> None:
    """List the example programs and the trained cores that come with the engine.

    Program files are shown by their paths below one folder, each with the first sentence of its text; --copy writes
    them into a folder of yours, to read, change and train. A file of yours is never overwritten. Trained cores are
    libraries, each with its card.

    \b
    Example:
      npi examples
      npi examples --copy programs
    """
    from npi.library.examples import cards, copy_examples, shipped
    from npi.library.examples import examples as folder

    screen, root = Screen(json=json), folder()
    files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.npi"))}
    listed = [{"file": name, "about": about(path.read_text(encoding="utf-8"))} for name, path in files.items()]
    cores = [{"name": name, "library": core, "card": cards()[core]} for name, core in shipped().items()]
    if copy is None:
        screen.table(listed, Column("file", "file"), Column("about", "about"), title=f"Program files in {root}")
        for core in cores:
            screen.line(f"\nTrained core {core['name']}, {core['library']}\n\n{core['card']}".rstrip())
    else:
        first, *_ = copied = copy_examples(copy)
        screen.line(f"{plural(len(copied), 'program file')} in {copy}; for example: npi check {first}")
    screen.document({"folder": root, "copied": copy, "programs": listed, "cores": cores})


def about(text: str) -> str:
    """The first sentence of the comment that a program file begins with, else of its first program's description."""
    comment = re.match(r"(?:#.*\n)+", text)
    described = re.search(r'^program .*?"([^"]+)":', text, flags=re.MULTILINE)
    words = re.sub(r"\s*\n?# ?", " ", comment[0]) if comment else described[1] if described else ""
    return re.split(r"(?<=[.:]) ", " ".join(words.split()), maxsplit=1)[0].rstrip(".:")
