"""Networks programming other networks (McClelland and Rumelhart 1985; the connection information distributor): two
modules read a word each, by connections that one store sets while they run. Nothing is trained.

Shape legend: ``B`` displays, ``M`` modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from meta.connection_information.displays import DISSIMILAR, SIMILAR, Display, displays, outcome
from meta.connection_information.lexicon import common_words, spelled
from meta.connection_information.network import ModulesConfig, OwnCopies, ProgrammedModules, evidence
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run

NOISE = (0.2, 0.25, 0.3)
"""Of a letter's evidence; the score is of the last."""

CHOSEN_BY = (1000, 400)
"""Seed and number of the displays by which the network's settings were chosen; their words are in none of ours."""

PRESENTATIONS = 10
"""Of each display, each with other noise."""

Read = Callable[[torch.Tensor], torch.Tensor]
"""code_BMP of evidence_BMPA."""


def crossovers(read: Read, shown: Sequence[Display], kind: str, noise: float, seed: int) -> torch.Tensor:
    """float64 B: of each display, the per cent of presentations in which letters crossed over."""
    generator, found = torch.Generator().manual_seed(seed), torch.zeros(len(shown), dtype=torch.float64)
    pairs: list[tuple[str, ...]] = [(display.word, display.partners[kind]) for display in shown]
    for _ in range(PRESENTATIONS):
        said = spelled(read(evidence(pairs, noise, generator=generator))[:, 0])
        for place, ((word, partner), response) in enumerate(zip(pairs, said, strict=True)):
            found[place] += 100 * (outcome(word, partner, response) == "crossover") / PRESENTATIONS
    return found


def run(run: Run) -> Found:
    """Crossovers beside a similar word, of modules that are programmed and of modules that have copies of their own."""
    words = common_words()
    known = {display.word for display in displays(words, CHOSEN_BY[1], CHOSEN_BY[0])}
    shown = displays(words, run.effort.problems, run.seed, without=known)
    programmed = ProgrammedModules(words, ModulesConfig(), generator=torch.Generator().manual_seed(run.seed))
    own = OwnCopies(words, ModulesConfig())

    def by_store(evidence_BMPA: torch.Tensor) -> torch.Tensor:
        return torch.cat([programmed.read(part).code_BMP for part in evidence_BMPA.split(100)])

    def by_copies(evidence_BMPA: torch.Tensor) -> torch.Tensor:
        return torch.cat([own.read(part).code_BMP for part in evidence_BMPA.split(100)])

    cases = {
        "programmed, similar word": (by_store, SIMILAR),
        "own copies, similar word": (by_copies, SIMILAR),
        "programmed, dissimilar word": (by_store, DISSIMILAR),
    }
    curves: dict[str, list[torch.Tensor]] = {name: [] for name in cases}
    for noise in NOISE:
        for name, (read, kind) in cases.items():
            run.heed()
            curves[name].append(crossovers(read, shown, kind, noise, run.seed))
            run.say(sum(map(len, curves.values())), len(NOISE) * len(cases), f"{name}, noise {noise:g}")
    mine, copies, dissimilar = (one[-1] for one in curves.values())
    return Found(
        paired(mine, copies),
        beside={"programmed, beside a dissimilar word": float(dissimilar.mean())},
        facts={"noise": f"{NOISE[-1]:g}; each of the displays was shown {PRESENTATIONS} times"},
        picture=Picture("noise of a letter's evidence", "crossovers, %", {
            name: [[*NOISE], [float(part.mean()) for part in parts]] for name, parts in curves.items()
        }),
    )  # fmt: skip


ROW = Row(
    key="modules",
    title="Networks programming networks",
    claim="Networks programming other networks",
    paper="letters cross over between two words read side by side, more where they are similar (McClelland and Mozer "
    "1986: no figure that can be compared)",
    score="% of readings in which letters crossed over from a similar word beside",
    control="modules with copies of their own of all connections, on the same displays",
    run=run,
    quick=Effort(problems=300),
    full=Effort(problems=400),
)
