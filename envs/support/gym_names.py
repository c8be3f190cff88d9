"""Names that the command line gives to Gymnasium environments, ``npi --gym NAME=package:Env-v0``.

An id with a colon imports a module. A program file cannot reach Python, so it names such an environment by a name that
the user gave; processes that a command starts find it in the variable of the environment in which it is kept.
"""

from __future__ import annotations

import os
import re

VARIABLE = "NPI_GYM"
NAME = re.compile(r"[A-Za-z_][\w.-]*")
ID = re.compile(r"(?:\w[\w.]*:)?(?:\w[\w-]*/)?\w[\w.-]*-v\d+")


def add_name(text: str) -> None:
    """Enter ``NAME=ID``; ``ValueError`` for a text that is none."""
    name, equals, env_id = text.partition("=")
    if not (equals and NAME.fullmatch(name) and ID.fullmatch(env_id)):
        raise ValueError(
            f"--gym {text!r} names no environment; write NAME=ID or NAME=package:ID, such as arm=mine:Arm-v0"
        )
    os.environ[VARIABLE] = ",".join(f"{key}={value}" for key, value in {**known_names(), name: env_id}.items())


def known_names() -> dict[str, str]:
    """Ids by the names that were given."""
    return dict(entry.split("=", 1) for entry in os.environ.get(VARIABLE, "").split(",") if "=" in entry)
