"""What accuracy recipes share: one JSON file a seed (so that a recipe goes on where it stopped), and a dated table."""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from npi.library.tensor_files import write_whole

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
RUNS = ROOT / "runs"

Result = dict[str, Any]


def arguments(description: str) -> argparse.ArgumentParser:
    """``--seeds`` and ``--table`` as every recipe takes them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true", help="only write the table from the seeds that are done")
    return parser


def each_seed(name: str, seeds: Sequence[int], run: Callable[[int], Result]) -> None:
    """Run the seeds that have no result yet; results lie in ``runs/<name>/<seed>.json``."""
    torch.set_num_threads(1)
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.json"
        if path.exists():
            print(f"{name}, seed {seed}: done before", flush=True)
            continue
        print(f"{name}, seed {seed}", flush=True)
        write_whole(path, (json.dumps(run(seed), indent=1) + "\n").encode())


def results(name: str) -> list[Result]:
    """Results of all seeds that are done, in order of seed."""
    paths = sorted((RUNS / name).glob("*.json"), key=lambda p: int(p.stem))
    return [json.loads(p.read_text()) | {"seed": int(p.stem)} for p in paths]


def machine() -> str:
    """Processor, cores used, and the versions that the figures depend on."""
    cpu = next((x.split(":")[1].strip() for x in _cpuinfo() if x.startswith("model name")), platform.machine())
    names = ("torch", "numpy")
    return f"{cpu}, one thread; Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in names)


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def write_table(name: str, title: str, command: str, text: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write ``docs/results/<name>.md``: date, machine, command, prose, and a table whose first row is its head."""
    today = datetime.now(UTC).date().isoformat()
    lines = [f"# {title}", "", f"{today}. {machine()}. Made by `{command}`.", "", *text, "", *markdown(rows), ""]
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.md"
    write_whole(path, "\n".join(lines).encode())
    print("\n".join(lines))
    return path


def png(figure: Any) -> bytes:
    """A figure of matplotlib as a file's bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def markdown(rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table; the first row is its head."""
    head, *body = [[str(c) for c in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median and range; one value as it is."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
