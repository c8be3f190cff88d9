"""The page of :mod:`benchmarks.universal.few_traces`: how many traces a row needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.common import RESULTS, Result, markdown, results, write_table

WHY = (
    "What the files wait for: `addition` and `subtract` for each pair of digits with and without a carry, of which",
    "traces show most soon and the last ones late, and one that is wrong fails many long numbers; `compare` for a",
    "first number that ends before the second. `brackets`, the loop of `add` and `reverse`, and INSERT are right in",
    "all that can happen, and not exact or only now and then: their texts also decide where no run comes, such as a",
    "closing bracket on the stack, or a loop that ends before its first turn on a pad that is never empty. What the",
    "core makes of those situations is chance, so that more traces sometimes take an exact row away again.",
)
"""What the figures of single files come from."""


def share(programs: Sequence[Result], what: str) -> float:
    """Of how many programs something holds."""
    return sum(one[what] for one in programs) / max(1, len(programs))


def write(name: str, files: Sequence[str], new: int) -> None:
    """The tables and the picture of what is done.

    Args:
        name: of the folder of results. files: those of people. new: frames in which generated programs were followed.
    """
    people, drawn_ones, texts = (results(f"{name}/traces-{what}") for what in ("human", "generated", "texts"))
    if not people or not texts:
        raise ValueError(f"nothing is done in runs/{name} yet; run the recipe without --table")
    picture(people, drawn_ones)
    text = [
        "The states of a program are inferred from its frames, and its codes learned for what the frames show; the",
        "text draws the traces and proves the row in the end, and nothing else. *Exact* is proved for any",
        "observations, more than the traces can promise: in their world some observations never follow some calls.",
        "",
        "Programs that people wrote: so many traces of the tasks of the file together, of random training sizes. The",
        "cells say how many of its programs are exact, and the share of problems of twice the largest training size",
        f"that the rows solve (the worst task of the file). Core {Path(name).name}.",
        "",
        *markdown([["traces", *(f"{r['seed']}" for r in people)], *_lines(people, files)]),
        "",
        *WHY,
        "",
        *_generated(texts[0], new),
        "",
        "![share of programs against traces](universal-traces.viewing.png)",
    ]
    head = ["frames of each program", "exact", "right", "no row", "exact up to size 4", "seconds a program to infer"]
    rows = [head, *([f"{one['seed']}", *_shares(one)] for one in drawn_ones)]
    write_table(
        "universal-traces", "How many traces a row needs", "python -m benchmarks.universal.few_traces", text, rows
    )


def _generated(texts: Result, new: int) -> list[str]:
    return [
        f"{texts['programs']} held-out generated programs, of sizes 1 to 12: frames in which any observation follows",
        f"any call, every value alike often. *Right* means in each of {new} new frames of that kind; *no row* that no",
        "few states explain the frames, or more than the core has room for. Many rows that are not exact have the",
        "states of the text, and lack situations that no frame shows: a test such as `P == 9 and Q == 0` is true in",
        "one of a hundred.",
        f"Read off their texts, {texts['exact']} of the {texts['programs']} are exact.",
    ]


def _lines(people: Sequence[Result], files: Sequence[str]) -> Iterator[list[str]]:
    """For each file a line of cells, one for each number of traces; then all files together."""
    for file in files:
        found = [result[file] for result in people]
        shares = [f"{sum(f['exact'].values())}/{len(f['exact'])}" for f in found]
        yield [file, *(f"{s}, {100 * min(f['solved'].values()):.0f} %" for s, f in zip(shares, found, strict=True))]
    yield ["all", *(f"{sum(_exact(r))}/{len(_exact(r))}, {100 * _solving(r):.0f} %" for r in people)]


def _exact(result: Result) -> list[bool]:
    return [exact for file in _files(result) for exact in file["exact"].values()]


def _files(result: Result) -> list[Result]:
    return [file for name, file in result.items() if name != "seed"]


def _solving(result: Result) -> float:
    """The share of problems solved, every task counting alike."""
    solved = [one for file in _files(result) for one in file["solved"].values()]
    return sum(solved) / len(solved)


def _shares(one: Result) -> Iterator[str]:
    programs = one["programs"]
    small = [program for program in programs if program["size"] <= 4]
    none = sum(bool(program["reason"]) for program in programs) / len(programs)
    for part in (share(programs, "exact"), share(programs, "right"), none, share(small, "exact")):
        yield f"{100 * part:.0f} %"
    yield f"{one['seconds'] / len(programs):.2f}"


def picture(people: Sequence[Result], drawn_ones: Sequence[Result]) -> None:
    """Shares of programs against traces or frames."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import PercentFormatter, ScalarFormatter

    figure, panel = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    traces, frames = ([r["seed"] for r in found] for found in (people, drawn_ones))
    panel.plot(traces, [_solving(r) for r in people], "o--", color="C0", label="by people: problems solved")
    panel.plot(traces, [sum(_exact(r)) / len(_exact(r)) for r in people], "o-", color="C0", label="by people: exact")
    for what, style, label in (("right", "s--", "right in 100 new frames"), ("exact", "s-", "exact")):
        shares = [share(r["programs"], what) for r in drawn_ones]
        panel.plot(frames, shares, style, color="C1", label=f"generated: {label}")
    panel.set(xlabel="traces of a file; frames of a generated program", ylabel="share", ylim=(0, 1.03))
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(ScalarFormatter())
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    panel.grid(alpha=0.3)
    panel.legend(loc="lower right")
    figure.savefig(RESULTS / "universal-traces.viewing.png", dpi=110)
