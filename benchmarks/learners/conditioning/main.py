"""How a row conditions a network: four ways at equally many numbers of a row, over three kinds of rows.

    python -m benchmarks.learners.conditioning.main BACKGROUND              # everything, three seeds
    python -m benchmarks.learners.conditioning.main BACKGROUND --only programs
    python -m benchmarks.learners.conditioning.main BACKGROUND --table      # only write the page

The ways are those of :mod:`benchmarks.learners.conditioning.modes`. BACKGROUND is Omniglot's packed background set.
Results lie under ``runs/conditioning-*``, a file a seed; a run that was stopped resumes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import arguments, each_seed, results, seeds, write
from benchmarks.learners.characters.alphabets import PIXELS, TEST, alphabets
from benchmarks.learners.conditioning import bandits, drawings, programs
from benchmarks.learners.conditioning.modes import MODES
from envs.images.packed import packed
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread

NAME = "conditioning"

Done = Mapping[str, Sequence[Result]]
"""Results by mode."""


def run_drawings(mode: str, background: Path, seed: int) -> Result:
    """Alphabets: trained on all but those of tests."""
    found = packed(background, PIXELS)
    train = alphabets(found, [name for name in found.group_names if name not in TEST])
    return drawings.run(mode, seed, train, alphabets(found, TEST))


def program_rows(done: Done) -> Rows:
    """The table of programs."""
    lines = []
    for mode, each in done.items():
        learned = [r["learned"] for r in each if r["learned"] is not None]
        told = [spread(learned, 0) if learned else "–", f"{len(learned)} of {len(each)}"]
        lines.append([mode, *_cost(each), spread([r["trained"] for r in each], 0), *told])
    return [["", *COST, "updates of core and rows", "updates of MAX and RJMP", "learned"], *lines]


def bandit_rows(done: Done) -> Rows:
    """The table of bandits."""
    lines = [
        [mode, *_cost(each), *(spread([r[name] for r in each], 2) for name in ("trained", "mean row", "learned"))]
        for mode, each in done.items()
    ]
    return [["", *COST, "priors of training", "new priors, mean row", "new priors, learned row"], *lines]


def drawing_rows(done: Done) -> Rows:
    """The table of alphabets."""
    names = ("mean row", "inferred row", "learned row", "all parameters")
    lines = [
        [mode, *_cost(each), *(spread([r[f"characters: {name}"] for r in each]) for name in names)]
        for mode, each in done.items()
    ]
    return [["", *COST, *names], *lines]


COST = ("seeds", "parameters between row and layers", "CPU s of training")


def _cost(each: Sequence[Result]) -> list[object]:
    seconds = statistics.median(r["CPU seconds"] for r in each)
    return [seeds(each), f"{each[0]['parameters']:,}", f"{seconds:.0f}"]


PARTS: dict[str, Callable[[Done], Rows]] = {
    "programs": program_rows, "bandits": bandit_rows, "alphabets": drawing_rows,
}  # fmt: skip


def main() -> None:
    parser = arguments(__doc__, seeds=range(3))
    parser.add_argument("background", metavar="BACKGROUND", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the parts")
    options = parser.parse_args()
    runs: dict[str, Callable[[str], Callable[[int], Result]]] = {
        "programs": lambda mode: partial(programs.run, mode),
        "bandits": lambda mode: partial(bandits.run, mode),
        "alphabets": lambda mode: partial(run_drawings, mode, options.background),
    }
    for part in () if options.table else options.only:
        for mode in MODES:
            each_seed(folder(part, mode), options.seeds, runs[part](mode), mode=mode)
    done = {part: {mode: found for mode in MODES if (found := results(folder(part, mode)))} for part in PARTS}
    contents: dict[str, Content] = {part: table(done[part]) for part, table in PARTS.items()}
    write(NAME, contents, [r for modes in done.values() for each in modes.values() for r in each])


def folder(part: str, mode: str) -> str:
    """Of results under ``runs``."""
    return f"{NAME}-{part}-{mode.replace(' ', '-')}"


if __name__ == "__main__":
    main()
