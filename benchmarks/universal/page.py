"""What :mod:`benchmarks.universal.main` found on held-out programs, as a page with tables and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Sequence

from benchmarks.common import RESULTS, ROOT, Result, markdown, png, results, write_table
from benchmarks.universal.alternatives import TuneConfig
from benchmarks.universal.heldout_programs import NEW_WORLDS, TOGETHER
from dsl import load
from dsl.generator import size_of
from npi.library.tensor_files import write_whole

WAYS = {
    "mean": "mean row",
    "nearest": "nearest old row",
    "proposed": "proposed row",
    "exact": "row learned, core frozen",
    "tuned": "core fine-tuned along",
    "scratch": "from scratch",
}
"""The columns, by their names in results."""

Rows = list[list[str]]


def held(name: str, known: Collection[str] | None) -> None:
    """Write the page of the batches that are done; ``known`` are keys of the functions of training."""
    batches = results(f"{name}/held")
    if not batches:
        raise SystemExit("no batch is done yet, so there is nothing to write")
    programs = [program for batch in batches for program in batch["programs"]]
    old = [p for p in programs if p["world"] not in NEW_WORLDS]
    new = [p for p in programs if p["world"] in NEW_WORLDS]
    text = [
        *about(batches, results(f"{name}/alone")),
        "", "## By size", "", *markdown(by_size(old, known)),
        "", "![exact by size](universal-held.png)",
        "", "## Other ways to get a program onto the core", "", *markdown(by_way(old)), "", *forgotten(batches, old),
        "", "## By world; no training had the new ones", "", *markdown(by_world(old + new)),
        "", "## Those that fail", "", *failures(old + new),
        "", "## By kind of function", "",
        "Functions of states, all programs together. A program is exact where each of its functions is.", "",
    ]  # fmt: skip
    command = "python -m benchmarks.universal.main held"
    write_table("universal-held", "Held-out programs on a frozen universal core", command, text, by_kind(programs))
    write_whole(RESULTS / "universal-held.png", picture(old))


def share(programs: Sequence[Result], way: str = "exact") -> str:
    """The share that is exact in a way, of those programs for which it was tried."""
    tried = tried_in(way, programs)
    right = sum(bool(p.get(way)) for p in tried)
    return f"{100 * right / len(tried):.1f} % ({right}/{len(tried)})" if tried else "–"


def tried_in(way: str, programs: Sequence[Result]) -> list[Result]:
    """Programs for which a way was tried, and those that do not fit, which fail in all ways that are tried for all."""
    return [p for p in programs if way in p or (p["reason"] and way not in ("tuned", "scratch"))]


def about(batches: Sequence[Result], alone: Sequence[Result]) -> list[str]:
    """What was measured, and how long it took."""
    programs = [program for batch in batches for program in batch["programs"]]
    numbers = [p["numbers"] for p in programs if "numbers" in p]
    fitting = [[p for p in batch["programs"] if not p["reason"]] for batch in batches]
    together = [b["seconds"] / max(1, len(f)) for b, f in zip(batches, fitting, strict=True)]
    within = [p for p in programs if p["size"] <= largest() and p["world"] not in NEW_WORLDS]
    lines = [
        f"Core {batches[0]['core'][:16]}. {len(programs):,} programs drawn with a fixed seed, sizes 1 to 12, none of",
        "which behaves as one of training does. A row counts as exact where it is proved: every decision right, on a",
        "complete enumeration of what each decision may depend on, after any observations before it. Programs that do",
        "not fit the core count as failures.",
        "",
        f"* Within the size of MAX and BUBBLESORT (their largest program has size {largest()}), over the worlds of",
        f"  training: {share(within)} exact.",
        f"* Numbers of a row that are learned: {statistics.mean(numbers):.0f} in the mean, median "
        f"{statistics.median(numbers):.0f}.",
        f"* CPU seconds a row, in batches of {TOGETHER}: median {statistics.median(together):.2f}, proof included.",
    ]
    for found in alone:
        lines.append(
            f"* CPU seconds a row, learned one by one, proof included: median {statistics.median(found['seconds']):.2f}"
            f", mean {statistics.mean(found['seconds']):.2f}, longest {max(found['seconds']):.1f} "
            f"({len(found['seconds'])} rows, {100 * statistics.mean(found['exact']):.0f} % exact)."
        )
    return lines


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


def forgotten(batches: Sequence[Result], programs: Sequence[Result]) -> list[str]:
    """What the ways say, and what each did to the old rows."""
    lost = [p["lost"] for p in programs if "lost" in p]
    same = all(batch["unchanged"] for batch in batches)
    lines = [
        "Mean row: the mean numbers of old rows, in every state. Nearest old row: for each state, that old state which",
        "decides most of its situations alike. Proposed row: what the proposer makes of examples, without gradient.",
        "Fine-tuned: core and row are descended together, on this program alone, from the proposed row. From scratch:",
        f"the same from random weights. Both take at most {TuneConfig().updates} updates.",
        "",
        "Forgetting. Rows learned with the core frozen: "
        + ("none; the core and every logit of the old rows are the same to the bit." if same else "THE OLD CHANGED."),
    ]
    if lost:
        decisions, broken = ([100 * pair[i] for pair in lost] for i in (0, 1))
        lines.append(
            f"Core fine-tuned along: {statistics.mean(decisions):.1f} % of the old rows' decisions are wrong after it "
            f"({statistics.median(decisions):.1f} % in the median), and {statistics.mean(broken):.0f} % of the old "
            "programs make a wrong one."
        )
    return lines


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
    lines.append(f"* {len(wrong)} others fit and are not exact; {len(few)} of them err in one or two situations.")
    return lines + [f"* {p['name']}: {p['note']}." for p in wrong if p["note"]]


def by_kind(programs: Sequence[Result]) -> Rows:
    functions = [f for p in programs if not p["reason"] for f in p["functions"]]
    kinds = sorted({f["kind"] for f in functions})
    rows = []
    for kind in kinds:
        mine = [f for f in functions if f["kind"] == kind]
        failed = sum(f["wrong"] > 0 for f in mine)
        what, inputs, situations = kind.split("; ")
        sizes = inputs.removesuffix(" inputs"), situations.removesuffix(" situations")
        rows.append((failed, [what, *sizes, str(len(mine)), str(failed), f"{100 * failed / len(mine):.1f} %"]))
    return [["what it does", "inputs", "situations", "functions", "failed", "share"],
            *(row for _, row in sorted(rows, key=lambda pair: (-pair[0], pair[1])))]  # fmt: skip


def picture(programs: Sequence[Result]) -> bytes:
    """The share that is exact in each way, by size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    sizes = sorted({p["size"] for p in programs})
    for way, label in WAYS.items():
        tried = {size: tried_in(way, [p for p in programs if p["size"] == size]) for size in sizes}
        xs = [size for size in sizes if tried[size]]
        ys = [100 * statistics.mean(bool(p.get(way)) for p in tried[size]) for size in xs]
        axes.plot(xs, ys, "o-", markersize=4, label=label, linewidth=2.5 if way == "exact" else 1.2)
    axes.axvline(largest(), color="#888888", linestyle="--", linewidth=1)
    axes.annotate("MAX, BUBBLESORT", (largest(), 3), fontsize=8, rotation=90, ha="right")
    axes.set(xlabel="size of the program", ylabel="programs exact, %", ylim=(-3, 103), xticks=sizes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return png(figure)
