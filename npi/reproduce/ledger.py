"""Stages of long work, each of which leaves one JSON file, so that a killed run resumes where it stopped.

``npi reproduce`` and the recipes of ``benchmarks`` both keep their results so.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from envs.support.typed_json import read_json, typed
from envs.support.user_files import MANIFEST_BYTES, read_file
from envs.support.versions import version_of
from npi.library.tensor_files import write_whole

Result = dict[str, Any]
"""What a stage found, as JSON."""

Say = Callable[[int, int, str], None]
"""Told how far a stage is: done, of how many, and a few words."""


class Stopped(Exception):
    """A stage was asked to stop before its end; it leaves no file, and resumes when it is run again."""


@dataclass(frozen=True)
class Stage:
    """A piece of work.

    Attributes:
        name: names its file, such as ``seed-0/train-multi``. title: what it does, for people.
        settings: all that its result depends on, those of stages before it included (by :attr:`identity`).
        make: does it; raises :class:`Stopped` where it was stopped.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    make: Callable[[Say], Result]

    @property
    def identity(self) -> str:
        """sha256 of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """What is kept of a finished stage: its settings and result, the day, and the machine."""

    settings: Mapping[str, Any]
    result: Result
    date: str
    machine: str


class Ledger:
    """The finished stages of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: Stage) -> Path:
        return self.folder / f"{stage.name}.json"

    def read(self, stage: Stage) -> Record | None:
        """What the stage found; ``None`` where it is not finished.

        Raises ``ValueError`` where it was finished with other settings, or its file is damaged.
        """
        path = self.path(stage)
        if not path.exists():
            return None
        record = read_record(path)
        now = json.loads(json.dumps(stage.settings))
        if record.settings != now:
            before = record.settings
            differing = sorted(key for key in {*now, *before} if now.get(key) != before.get(key))
            raise ValueError(
                f"{path} was made with other settings ({', '.join(differing)}); work in another folder, or remove it "
                "and all that was made from it"
            )
        return record

    def run(self, stage: Stage, say: Say) -> Record:
        """Do the stage and keep what it finds."""
        record = Record(stage.settings, stage.make(say), today(), machine())
        path = self.path(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps({"stage": stage.name, **vars(record)}, indent=1) + "\n").encode())
        return record


def read_record(path: Path) -> Record:
    """A finished stage from its file; raises ``ValueError`` where that is damaged."""
    try:
        data = read_json(dict[str, Any], read_file(path, MANIFEST_BYTES))
        found: Record = typed(Record, {key: data[key] for key in ("settings", "result", "date", "machine")})
        return found
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it, and its stage is done again") from error


def today() -> str:
    """The day (UTC) in ISO format."""
    return datetime.now(UTC).date().isoformat()


def machine() -> str:
    """Processor, threads, and the versions that figures depend on."""
    import torch

    threads = f"{torch.get_num_threads()} of {os.cpu_count()} threads"
    versions = [
        f"Python {platform.python_version()}",
        *(f"{n} {version_of(n)}" for n in ("npi-engine", "torch", "numpy")),
    ]
    return f"{_processor()}, {threads}; {', '.join(versions)}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.machine())
