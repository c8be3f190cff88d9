"""What recipes share: stages under ``runs``, so that a killed recipe resumes, and pages of ``docs/results``.

A recipe is its settings, functions of stages, and a function that makes a page's contents from their results: tables
and figures for the markers of the page (:mod:`npi.reproduce.pages`), which holds the prose, and pictures beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from npi.library.tensor_files import write_whole
from npi.reproduce.ledger import Ledger, Result, Stage, machine, read_record, today
from npi.reproduce.pages import Content, update

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
RUNS = ROOT / "runs"


def arguments(doc: str | None, *, seeds: Sequence[int] = range(5)) -> argparse.ArgumentParser:
    """``--seeds`` and ``--table`` as recipes take them; the module's docstring is the help."""
    parser = plain_arguments(doc)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--table", action="store_true", help="only write the page from the stages that are finished")
    return parser


def plain_arguments(doc: str | None) -> argparse.ArgumentParser:
    """No options but ``--help``; one thread from here on."""
    torch.set_num_threads(1)
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def finished(name: str, make: Callable[[], Result], **settings: Any) -> Result:
    """What a stage found, which is done first where ``runs/<name>.json`` is not there.

    Raises ``ValueError`` where it was finished with other settings.
    """
    stage, ledger = Stage(name, name, settings, lambda _: make()), Ledger(RUNS)
    record = ledger.read(stage)
    if record is None:
        print(name, flush=True)
        record = ledger.run(stage, lambda *_: None)
    return dict(record.result)


def each_seed(name: str, seeds: Sequence[int], run: Callable[[int], Result], **settings: Any) -> None:
    """A stage for each seed: ``runs/<name>/<seed>.json``."""
    for seed in seeds:
        finished(f"{name}/{seed}", partial(run, seed), seed=seed, **settings)


def results(name: str) -> list[Result]:
    """Results of all seeds that are finished, in order of seed, each with its ``seed``, ``date`` and ``machine``."""
    found = {int(path.stem): read_record(path) for path in (RUNS / name).glob("*.json")}
    return [r.result | {"seed": seed, "date": r.date, "machine": r.machine} for seed, r in sorted(found.items())]


def seeds(done: Sequence[Result]) -> str:
    """The seeds of some results."""
    return ", ".join(str(r["seed"]) for r in done)


def write(page: str, contents: Mapping[str, Content | bytes], done: Sequence[Result] = ()) -> None:
    """Fill ``docs/results/<page>.md``, and write the contents that are bytes beside it, under their names.

    Args:
        done: the results that they were made from: the page says their dates and machines; none: those of now.
    """
    dates, machines = sorted({r["date"] for r in done}) or [today()], {r["machine"]: 0 for r in done} or [machine()]
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    texts: dict[str, Content] = {"made": f"{days}. {'; '.join(machines)}"}
    for name, content in contents.items():
        if isinstance(content, bytes):
            write_whole(RESULTS / name, content)
        else:
            texts[name] = content
    update(RESULTS / f"{page}.md", texts)
    print(f"written: docs/results/{page}.md")


Contents = Callable[[Sequence[Result]], Mapping[str, Content | bytes]]
"""Makes a page's contents from the results of its seeds."""


def recipe(
    doc: str | None,
    page: str,
    run: Callable[[int], Result],
    contents: Contents,
    *,
    name: str | None = None,
    seeds: Sequence[int] = range(5),
    **settings: Any,
) -> None:
    """The command line of a recipe with one stage a seed and no other options.

    Args:
        name: of the folder under ``runs``; the page's by default. settings: what results depend on beside the seed.
    """
    run_recipe(arguments(doc, seeds=seeds).parse_args(), page, run, contents, name=name, **settings)


def run_recipe(
    options: argparse.Namespace,
    page: str,
    run: Callable[[int], Result],
    contents: Contents,
    *,
    name: str | None = None,
    **settings: Any,
) -> None:
    """Run the seeds that are not finished, and write the page; as :func:`recipe`, after the options were read."""
    name = name or page
    if not options.table:
        each_seed(name, options.seeds, run, **settings)
    if not (done := results(name)):
        raise SystemExit("no seed is finished yet, so there is nothing to write")
    write(page, contents(done), done)
