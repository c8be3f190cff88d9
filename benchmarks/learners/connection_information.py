"""Two words read side by side by modules that a store programs, and letters that cross over between them.

    python -m benchmarks.learners.connection_information                             # five seeds
    python -m benchmarks.learners.connection_information --table                     # only write the page
    python -m benchmarks.learners.connection_information --read sand lane --noise 0.25
    python -m benchmarks.learners.connection_information --validation                # what settings were chosen by
    python -m benchmarks.learners.connection_information --validation --inhibition 0 --threshold 2.8

Definitions are those of :mod:`meta.connection_information.displays`. Shape legend: ``B`` displays, ``M`` modules.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from benchmarks.common import arguments, run_recipe, seeds
from meta.connection_information.displays import (
    DISSIMILAR,
    KINDS,
    NEUTRAL,
    NONE_SHARED,
    ONE_SHARED,
    SIMILAR,
    Display,
    Outcomes,
    displays,
    outcomes,
)
from meta.connection_information.lexicon import check_words, common_words, spelled
from meta.connection_information.network import (
    ModulesConfig,
    OwnCopies,
    ProgrammedModules,
    Reading,
    connections,
    evidence,
    read_letters,
)
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, markdown, spread
from npi.reproduce.plots import label, panels, png

NAME = "connection-information"

PROGRAMMED, OWN, LETTERS = "programmed", "own copies", "letters alone"

NOISE = (0.15, 0.2, 0.25, 0.3, 0.35)

ACCURACIES = (90, 80, 70)
"""Per cent right at which kinds of displays are compared."""

DISPLAYS, PRESENTATIONS = 200, 5
"""Displays of each kind, and how often each is shown, with other noise every time."""

VALIDATION = (1000, 400)
"""Seed and number of the displays by which settings were chosen; their words are reported in no other display."""

ROWS = [(PROGRAMMED, kind) for kind in KINDS] + [(OWN, SIMILAR), (OWN, DISSIMILAR), (LETTERS, SIMILAR)]
"""What is measured; what modules of their own read does not depend on the other word."""

BATCH = 100

Read = Callable[[torch.Tensor], torch.Tensor]
"""code_BMP of evidence_BMPA."""


def readers(seed: int, config: ModulesConfig) -> dict[str, Read]:
    """What reads; patterns of words are the seed's."""
    programmed = ProgrammedModules(common_words(), config, generator=torch.Generator().manual_seed(seed))
    own = OwnCopies(common_words(), config)
    return {
        PROGRAMMED: lambda evidence_BMPA: programmed.read(evidence_BMPA).code_BMP,
        OWN: lambda evidence_BMPA: own.read(evidence_BMPA).code_BMP,
        LETTERS: read_letters,
    }


def reported(read: Read, shown: Sequence[Display], kind: str, noise: float, seed: int) -> Outcomes:
    """Of the words to report in displays of a kind; those without such a partner are left out."""
    shown = [display for display in shown if kind in display.partners] * PRESENTATIONS
    partners = [display.partners[kind] for display in shown]
    generator, responses = torch.Generator().manual_seed(seed), list[str]()
    for first in range(0, len(shown), BATCH):
        pairs = [(d.word, p) for d, p in zip(shown[first : first + BATCH], partners[first:], strict=False)]
        responses += spelled(read(evidence(pairs, noise, generator=generator))[:, 0])
    return outcomes(shown, partners, responses)


def measured(shown: Sequence[Display], seed: int, config: ModulesConfig) -> Result:
    """Outcomes in per cent by reader, kind and level of noise, and the CPU seconds that it took."""
    began, found = time.process_time(), dict[str, dict[str, list[dict[str, float]]]]()
    for name, read in readers(seed, config).items():
        found[name] = {kind: [percent(reported(read, shown, kind, noise, seed)) for noise in NOISE] for kind in KINDS}
    return {"outcomes": found, "seconds": time.process_time() - began}


def percent(found: Outcomes) -> dict[str, float]:
    return {name: 100 * value for name, value in found._asdict().items()}


def run(seed: int) -> Result:
    validation_seed, count = VALIDATION
    known = {display.word for display in displays(common_words(), count, validation_seed)}
    return measured(displays(common_words(), DISPLAYS, seed, without=known), seed, ModulesConfig())


def validation(seed: int, config: ModulesConfig) -> Result:
    validation_seed, count = VALIDATION
    return measured(displays(common_words(), count, validation_seed), seed, config)


def at_accuracy(levels: Sequence[dict[str, float]], right: float, name: str = "crossover") -> float | None:
    """An outcome at an accuracy, linear between levels of noise; None where no two levels lie about it."""
    for easy, hard in pairwise(levels):
        if easy["right"] >= right >= hard["right"] and easy["right"] > hard["right"]:
            share = (easy["right"] - right) / (easy["right"] - hard["right"])
            return easy[name] + share * (hard[name] - easy[name])
    return None


# --- the page -------------------------------------------------------------------------------------------------------


def levels_of(done: Sequence[Result], reader: str, kind: str) -> list[list[dict[str, float]]]:
    """For each seed, the outcomes by level of noise."""
    return [result["outcomes"][reader][kind] for result in done]


def by_noise(done: Sequence[Result], name: str, rows: Sequence[tuple[str, str]]) -> Rows:
    """One outcome by noise: readers and kinds."""
    table: list[list[object]] = [["modules", "other word", *(f"noise {noise:g}" for noise in NOISE)]]
    for reader, kind in rows:
        every = levels_of(done, reader, kind)
        table.append([reader, kind, *(spread([s[at][name] for s in every]) for at in range(len(NOISE)))])
    return table


def matched(done: Sequence[Result], reader: str, kind: str, right: float, name: str = "crossover") -> list[float]:
    found = [at_accuracy(levels, right, name) for levels in levels_of(done, reader, kind)]
    return [value for value in found if value is not None]


def at_accuracies(done: Sequence[Result]) -> Rows:
    """Crossovers at matched accuracy, and how many times as many they are beside similar words."""
    table: list[list[object]] = [["modules", "other word", *(f"{right} % right" for right in ACCURACIES)]]
    for reader, kind in ROWS:
        table.append([reader, kind, *(spread(matched(done, reader, kind, right)) for right in ACCURACIES)])
    for kind in (DISSIMILAR, NONE_SHARED):
        ratios = [[one / other for one, other in both(done, kind, right)] for right in ACCURACIES]
        table.append([f"{SIMILAR} / {kind}", "", *(spread(values) + " ×" for values in ratios)])
    return table


def both(done: Sequence[Result], kind: str, right: float) -> list[tuple[float, float]]:
    """Crossovers of programmed modules seed by seed: beside similar words, and beside those of another kind."""
    similar, other = matched(done, PROGRAMMED, SIMILAR, right), matched(done, PROGRAMMED, kind, right)
    return [*zip(similar, other, strict=True)]


def exchanged(done: Sequence[Result]) -> Rows:
    """How often the two words that the similar partner allows were said, whatever the partner was."""
    table: list[list[object]] = [["other word", *(f"{right} % right" for right in ACCURACIES)]]
    for kind in KINDS:
        values = [matched(done, PROGRAMMED, kind, right, "exchanged") for right in ACCURACIES]
        table.append([kind, *map(spread, values)])
    return table


def counted() -> Rows:
    """Letter-to-word connections of two modules, by the number of words in the store."""
    table: list[list[object]] = [["words", "two programmable modules and their store", "two copies"]]
    for words in (500, 1000, len(common_words()), 5000):
        found = connections(words, ModulesConfig())
        table.append([f"{words:,}", f"{found.programmed:,}", f"{found.own:,}"])
    return table


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    return {
        "words": f"{len(common_words()):,}",
        "seeds": seeds(done),
        "seconds": spread([result["seconds"] for result in done], 0),
        "right": by_noise(done, "right", ROWS),
        "crossovers": by_noise(done, "crossover", ROWS),
        "matched": at_accuracies(done),
        "exchanged": exchanged(done),
        "connections": counted(),
        f"{NAME}.png": picture(done),
    }


def picture(done: Sequence[Result]) -> bytes:
    """Crossovers by noise, and by letters shared at 80 % right, with the range over seeds."""
    figure, (left, right) = panels(2, across=2, size=(9, 3.6))
    lines = [(PROGRAMMED, kind) for kind in (SIMILAR, ONE_SHARED, NONE_SHARED, DISSIMILAR)] + [(OWN, SIMILAR)]
    for place, (reader, kind) in enumerate(lines):
        every = [[level["crossover"] for level in levels] for levels in levels_of(done, reader, kind)]
        values = [*zip(*every, strict=True)]
        name = kind if reader == PROGRAMMED else OWN
        left.plot(NOISE, [statistics.median(v) for v in values], "o-", color=f"C{place}", label=name, markersize=3)
        left.fill_between(NOISE, [min(v) for v in values], [max(v) for v in values], color=f"C{place}", alpha=0.15)
    left.set_xticks(NOISE)
    label(left, "by noise", "noise of a letter's evidence", "crossovers, %", legend="upper left")
    by_letters = {0: NONE_SHARED, 1: ONE_SHARED, 2: SIMILAR}
    for name, reader, outcome in (
        ("programmed: all crossovers", PROGRAMMED, "crossover"),
        ("programmed: the two words of an exchange", PROGRAMMED, "exchanged"),
        ("own copies: the two words", OWN, "exchanged"),
    ):
        values = [matched(done, reader, kind, 80, outcome) for kind in by_letters.values()]
        middle = [statistics.median(v) for v in values]
        error = [[m - min(v) for m, v in zip(middle, values, strict=True)],
                 [max(v) - m for m, v in zip(middle, values, strict=True)]]  # fmt: skip
        right.errorbar([*by_letters], middle, error, fmt="o-", capsize=3, label=name)
    chance = statistics.median(matched(done, PROGRAMMED, NEUTRAL, 80, "exchanged"))
    right.axhline(chance, color="grey", linestyle=":", label="programmed: the two words, letters not in view")
    right.set_xticks([*by_letters])
    right.set_ylim(0, 9)
    label(right, "at 80 % right, same two letters to exchange", "letters shared", "crossovers, %", legend="upper left")
    return png(figure)


# --- one display ----------------------------------------------------------------------------------------------------


def read_pair(pair: Sequence[str], noise: float, seed: int, count: int = 1000) -> str:
    """What two modules read in so many presentations of two words, and the words that were active in the store."""
    check_words(pair)
    modules = ProgrammedModules(common_words(), generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    readings = [
        modules.read(evidence([(pair[0], pair[1])] * BATCH, noise, generator=generator))
        for _ in range(-(-count // BATCH))
    ]
    lines = [active(readings)]
    for module, word in enumerate(pair):
        said = Counter(name for reading in readings for name in spelled(reading.code_BMP[:, module]))
        total = sum(said.values())
        shares = ", ".join(f"{name} {100 * times / total:.1f} %" for name, times in said.most_common(6))
        lines.append(f"module {module + 1} sees {word}: {shares}")
    return "\n".join(lines)


def active(readings: Sequence[Reading], most: int = 8) -> str:
    strength_W = torch.cat([reading.strength_BW for reading in readings]).mean(0)
    best = strength_W.topk(most)
    words = (
        f"{common_words().words[place]} {strength:.2f}"
        for strength, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )
    return f"connections active in the mean (1: fully): {', '.join(words)}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--read", nargs=2, metavar="WORD", help="only show how two words are read")
    parser.add_argument("--noise", type=float, default=0.25, help="with --read: of a letter's evidence")
    parser.add_argument("--validation", action="store_true", help="only print crossovers on the validation displays")
    default = ModulesConfig()
    parser.add_argument("--inhibition", type=float, default=default.inhibition, help="with --validation: of words")
    parser.add_argument("--threshold", type=float, default=default.threshold, help="with --validation: of words")
    options = parser.parse_args()
    if options.read:
        print(read_pair([word.lower() for word in options.read], options.noise, options.seeds[0]))
    elif options.validation:
        config = replace(default, inhibition=options.inhibition, threshold=options.threshold)
        print("\n".join(markdown(at_accuracies([validation(seed, config) for seed in options.seeds]))))
    else:
        run_recipe(options, NAME, run, contents, displays=DISPLAYS, presentations=PRESENTATIONS, noise=list(NOISE))


if __name__ == "__main__":
    main()
