"""The files that a reproduction ends in; each is written whole, from what is finished."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from npi.library.tensor_files import write_whole
from npi.reproduce.pages import fill
from npi.reproduce.pictures import pictures
from npi.reproduce.report import Report
from npi.reproduce.tables import contents, curves_csv, table_csv

COMMAND = "npi reproduce npi-paper"


def write_outputs(report: Report, folder: Path) -> list[Path]:
    """Write ``table.md``, ``table.csv``, ``curves.csv``, ``results.json`` and the pictures; returns the paths."""
    drawn = pictures(report)
    files = {
        "table.md": page(report, list(drawn)),
        "table.csv": table_csv(report).encode(),
        "curves.csv": curves_csv(report).encode(),
        "results.json": (json.dumps(report.to_json(), indent=1) + "\n").encode(),
        **drawn,
    }
    return write_files(files, folder)


def page(report: Report, pictures: Sequence[str]) -> bytes:
    """The page of a report, with these pictures beside it."""
    prose = (Path(__file__).parent / "npi-paper.md").read_text(encoding="utf-8")
    command = f"{COMMAND} --quick" if report.quick else COMMAND
    return fill(prose, contents(report, command=command, pictures=pictures)).encode()


def read_report(folder: Path) -> Report:
    """The report of a folder that :func:`write_outputs` wrote to."""
    path = folder / "results.json"
    if not path.is_file():
        raise ValueError(f"there is no {path}; {COMMAND} --out {folder} makes it")
    return Report.from_json(json.loads(path.read_text(encoding="utf-8")))


def write_files(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write each file whole, by its name; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]
