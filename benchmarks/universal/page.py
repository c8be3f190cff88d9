"""What :mod:`benchmarks.universal.main` found on held-out programs, as the contents of a page."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Sequence

from benchmarks.common import ROOT
from benchmarks.universal.heldout_programs import NEW_WORLDS
from dsl import load
from dsl.generator import size_of
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows
from npi.reproduce.plots import panels, png

WAYS = {
    "mean": "mean row",
    "nearest": "nearest old row",
    "proposed": "proposed row",
    "exact": "row learned, core frozen",
    "tuned": "core fine-tuned along",
    "scratch": "from scratch",
}
"""The columns, by their names in results."""


def contents(
    batches: Sequence[Result], alone: Sequence[Result], known: Collection[str] | None
) -> dict[str, Content | bytes]:
    """The page of the batches that are finished; ``known`` are keys of the functions of training."""
    programs = [program for batch in batches for program in batch["programs"]]
    old = [p for p in programs if p["world"] not in NEW_WORLDS]
    new = [p for p in programs if p["world"] in NEW_WORLDS]
    numbers = [p["numbers"] for p in programs if "numbers" in p]
    fitting = [[p for p in batch["programs"] if not p["reason"]] for batch in batches]
    together = [b["seconds"] / max(1, len(f)) for b, f in zip(batches, fitting, strict=True)]
    return {
        "core": batches[0]["core"][:16],
        "count": f"{len(programs):,}",
        "within": share([p for p in old if p["size"] <= largest()]),
        "parameters": f"{statistics.mean(numbers):.0f} in the mean, median {statistics.median(numbers):.0f}",
        "together": f"{statistics.median(together):.2f}",
        "alone": "; ".join(map(_alone, alone)) or "not measured",
        "by-size": by_size(old, known),
        "by-way": by_way(old),
        "frozen": "none; core and old rows are bit-identical" if all(b["unchanged"] for b in batches) else "CHANGED",
        "forgotten": forgotten(old),
        "by-world": by_world(old + new),
        "failures": "\n".join(failures(old + new)),
        "by-kind": by_kind(programs),
        "universal-held.png": picture(old),
    }


def _alone(found: Result) -> str:
    seconds, exact = found["seconds"], 100 * statistics.mean(found["exact"])
    return (
        f"median {statistics.median(seconds):.2f}, mean {statistics.mean(seconds):.2f}, longest {max(seconds):.1f} "
        f"({len(seconds)} rows, {exact:.0f} % exact)"
    )


def share(programs: Sequence[Result], way: str = "exact") -> str:
    """The share that is exact in a way, of those programs for which it was tried."""
    tried = tried_in(way, programs)
    right = sum(bool(p.get(way)) for p in tried)
    return f"{100 * right / len(tried):.1f} % ({right}/{len(tried)})" if tried else "–"


def tried_in(way: str, programs: Sequence[Result]) -> list[Result]:
    """Programs for which a way was tried, and those that do not fit, which fail in all ways that are tried for all."""
    return [p for p in programs if way in p or (p["reason"] and way not in ("tuned", "scratch"))]


def largest() -> int:
    """The size of the largest program of bubble sort and of maximum."""
    sets = [load(ROOT / "programs" / f"{name}.npi") for name in ("bubblesort", "max")]
    return max(size_of(program.tree) for programs in sets for program in programs.programs)


def by_size(programs: Sequence[Result], known: Collection[str] | None) -> Rows:
    rows = [["size", "programs", "exact", "deciding states", "numbers", "updates, median", "functions not trained on"]]
    for size in sorted({p["size"] for p in programs}):
        mine = [p for p in programs if p["size"] == size]
        rows.append([str(size), *_row(mine, known)])
    return [*rows, ["all", *_row(programs, known)]]


def _row(programs: Sequence[Result], known: Collection[str] | None) -> list[str]:
    fitting = [p for p in programs if not p["reason"]]
    functions = [f for p in fitting for f in p["functions"]]
    unseen = sum(f["key"] not in known for f in functions) if known is not None else 0
    return [
        str(len(programs)),
        share(programs),
        f"{len(functions) / max(1, len(fitting)):.1f}",
        f"{statistics.mean(p['numbers'] for p in fitting):.0f}" if fitting else "–",
        f"{statistics.median(p['updates'] for p in fitting):.0f}" if fitting else "–",
        "not known" if known is None else f"{unseen} of {len(functions)}",
    ]


def by_way(programs: Sequence[Result]) -> Rows:
    rows = [["size", *WAYS.values()]]
    groups: list[tuple[str, Callable[[Result], bool]]] = [
        ("1 to 4", lambda p: p["size"] <= 4),
        ("5 to 8", lambda p: 5 <= p["size"] <= 8),
        ("9 to 12", lambda p: p["size"] >= 9),
        ("all", lambda p: True),
    ]
    return rows + [[name, *[share([p for p in programs if of(p)], way) for way in WAYS]] for name, of in groups]


def forgotten(programs: Sequence[Result]) -> str:
    """What fine-tuning did to the old rows."""
    lost = [p["lost"] for p in programs if "lost" in p]
    if not lost:
        return "not measured"
    decisions, broken = ([100 * pair[i] for pair in lost] for i in (0, 1))
    return (
        f"{statistics.mean(decisions):.1f} % of the old rows' decisions are wrong after it "
        f"({statistics.median(decisions):.1f} % in the median), and {statistics.mean(broken):.0f} % of the old "
        "programs make a wrong one"
    )


def by_world(programs: Sequence[Result]) -> Rows:
    rows = [["world", "programs", *WAYS.values()]]
    for world in dict.fromkeys(p["world"] for p in programs):
        mine = [p for p in programs if p["world"] == world]
        rows.append([world, str(len(mine)), *[share(mine, way) for way in WAYS]])
    return rows


def failures(programs: Sequence[Result]) -> list[str]:
    """Programs that do not fit, by reason, and how many others are wrong."""
    lines = [f"* {p['name']} ({p['world']}, size {p['size']}) {p['reason']}." for p in programs if p["reason"]]
    wrong = [p for p in programs if not p["reason"] and not p["exact"]]
    few = [p for p in wrong if sum(f["wrong"] for f in p["functions"]) <= 2]
    lines.append(f"* {len(wrong)} others fit and are not exact; {len(few)} of them err in one or two configurations.")
    return lines + [f"* {p['name']}: {p['note']}." for p in wrong if p["note"]]


def by_kind(programs: Sequence[Result]) -> Rows:
    functions = [f for p in programs if not p["reason"] for f in p["functions"]]
    kinds = sorted({f["kind"] for f in functions})
    rows = []
    for kind in kinds:
        mine = [f for f in functions if f["kind"] == kind]
        failed = sum(f["wrong"] > 0 for f in mine)
        what, inputs, configurations = kind.split("; ")
        sizes = inputs.removesuffix(" inputs"), configurations.removesuffix(" configurations")
        rows.append((failed, [what, *sizes, str(len(mine)), str(failed), f"{100 * failed / len(mine):.1f} %"]))
    return [["what it does", "inputs", "configurations", "functions", "failed", "share"],
            *(row for _, row in sorted(rows, key=lambda pair: (-pair[0], pair[1])))]  # fmt: skip


def picture(programs: Sequence[Result]) -> bytes:
    """The share that is exact in each way, by size."""
    figure, (axes,) = panels(1, across=1, size=(7, 4.2), dpi=110)
    sizes = sorted({p["size"] for p in programs})
    for way, name in WAYS.items():
        tried = {size: tried_in(way, [p for p in programs if p["size"] == size]) for size in sizes}
        xs = [size for size in sizes if tried[size]]
        ys = [100 * statistics.mean(bool(p.get(way)) for p in tried[size]) for size in xs]
        axes.plot(xs, ys, "o-", markersize=4, label=name, linewidth=2.5 if way == "exact" else 1.2)
    axes.axvline(largest(), color="#888888", linestyle="--", linewidth=1)
    axes.annotate("MAX, BUBBLESORT", (largest(), 3), fontsize=8, rotation=90, ha="right")
    axes.set(xlabel="size of the program", ylabel="programs exact, %", ylim=(-3, 103), xticks=sizes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return png(figure)
