"""Names of data sets, and the folders or files that they are bound to.

A program file names its data (``images(data: omniglot)``) and cannot reach the disk; who runs it says where they lie
(``--data omniglot=FOLDER``). What is bound is kept in the environment, so that processes which are started see it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from envs.support.user_files import real_path

GENERATED = "strokes"
"""The data set that comes with the engine: alphabets from a seeded generator."""

VARIABLE = "NPI_DATA"
"""The variable of the environment that holds what is bound: a JSON object of names and paths."""

NAME = re.compile(r"[a-z][a-z0-9_]*")


def bind(binding: str) -> None:
    """Bind a name to a folder or a file, as ``NAME=PATH``.

    Raises ``ValueError`` for another form, for a name that a program file cannot write or that is taken, and for a path
    where there is nothing.
    """
    name, given, path = binding.partition("=")
    if not given or not path:
        raise ValueError(f"{binding!r} is not NAME=FOLDER; write, for example: --data omniglot=images_background")
    if not NAME.fullmatch(name):
        raise ValueError(f"{binding!r}: {name!r} is no name of data; it has small letters, digits and _")
    if name == GENERATED:
        raise ValueError(f"{binding!r}: {GENERATED} are generated and come with the engine; choose another name")
    if not Path(path).exists():
        raise ValueError(f"{binding!r}: there is no file or folder {path}")
    os.environ[VARIABLE] = json.dumps(bound() | {name: str(real_path(path))})


def bound() -> dict[str, str]:
    """Paths by the names that they are bound to.

    Raises ``ValueError`` where the variable of the environment holds anything else.
    """
    text = os.environ.get(VARIABLE, "{}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(path, str) for path in found.values()):
        raise ValueError(
            f"the variable {VARIABLE} holds {text[:60]!r}; give a JSON object of names and paths, or --data"
        )
    return found
