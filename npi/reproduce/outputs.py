"""The files that a reproduction ends in; each is written whole, from what is finished."""

from __future__ import annotations

import json
from pathlib import Path

from npi.library.tensor_files import write_whole
from npi.reproduce.plots import picture, pictures
from npi.reproduce.report import Report
from npi.reproduce.tables import curves_csv, page, table_csv

COMMAND = "npi reproduce npi-paper"


def command(report: Report) -> str:
    """The command line that makes such a report."""
    return f"{COMMAND} --quick" if report.quick else COMMAND


def write_outputs(report: Report, folder: Path) -> list[Path]:
    """Write ``table.md``, ``table.csv``, ``curves.csv``, ``results.json`` and the pictures; returns the paths."""
    drawn = pictures(report)
    files = {
        "table.md": page(report, command=command(report), pictures=list(drawn)).encode(),
        "table.csv": table_csv(report).encode(),
        "curves.csv": curves_csv(report).encode(),
        "results.json": (json.dumps(report.to_json(), indent=1) + "\n").encode(),
        **drawn,
    }
    return _write(files, folder)


def read_report(folder: Path) -> Report:
    """The report of a folder that :func:`write_outputs` wrote to."""
    path = folder / "results.json"
    if not path.is_file():
        raise ValueError(f"there is no {path}; {COMMAND} --out {folder} makes it")
    return Report.from_json(json.loads(path.read_text(encoding="utf-8")))


def publish(report: Report, folder: Path, name: str = "npi-paper") -> list[Path]:
    """Write the same under other names, with one picture: NAME.md, NAME.csv, NAME-curves.csv and NAME.png."""
    drawn = picture(report)
    shown = [f"{name}.png"] if drawn else []
    files = {
        f"{name}.md": page(report, command=command(report), pictures=shown).encode(),
        f"{name}.csv": table_csv(report).encode(),
        f"{name}-curves.csv": curves_csv(report).encode(),
        **({f"{name}.png": drawn} if drawn else {}),
    }
    return _write(files, folder)


def _write(files: dict[str, bytes], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]
