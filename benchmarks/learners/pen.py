"""A pen that draws as a demonstration shows: beside replayed forces, a controller, and cores that read otherwise; rows.

    python -m benchmarks.learners.pen --data strokes_background_small1.zip     # three seeds: about half an hour of CPU
    python -m benchmarks.learners.pen --data FILE.zip --only along --seeds 0   # or another stage
    python -m benchmarks.learners.pen --table                                  # only write the page of what is finished

Each stage has a file under ``runs/pen``, so that a run that was stopped resumes. Scenes are those of episodes from 10^9
on, which no training draws; alphabets and drawers are those of a split.

Shape legend: ``B`` scenes, ``N`` drawings, ``P`` parameters of a row, ``T`` steps.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.common import ROOT, RUNS, arguments, finished, write
from benchmarks.learners.pen_opponents import both, chosen_gains, rebased, replay, shown_in, tracking, tried
from dsl import loads
from envs.control.demonstrations import of_episodes
from envs.control.pen import Pen, judged
from envs.control.pen_strokes import SPLITS, pen_drawings, split_alphabets
from envs.images.bindings import bind
from envs.world import Episodes, Layout
from meta.imitation.adaptation import AdaptationConfig, AdaptationLoss, LearnedAdaptation, task_of
from meta.imitation.following import FollowingCore
from meta.imitation.learner import LEARNER, Core
from meta.imitation.network import ALONG, RECURRENT, ImitationConfig
from npi.jobs.learners import train_learner
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.learn_from_demonstrations import row_from_demonstrations
from npi.learners.objectives.base import LearnerObjective, masked_mean
from npi.learners.objectives.imitation import CloningTraining
from npi.learners.rollout import rollout
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows, spread
from npi.training.loop import Schedule, fit

NAME, DATA = "pen", "people"

FIRST = 10**9
"""The first scene's number."""

TRAINED, VALIDATED, TESTED = range(3)
"""The splits."""

DRAWINGS = {VALIDATED: 78, TESTED: 72}
"""How many each has."""

QUIET, PUSHED = 1, 2
"""Of ``PUSH``."""

SCENES = 5
"""New sheets for each drawing, without a push, and as many with one."""

SHOWN = replace(
    LEARNER.training, updates=450, batch=48, rate=8e-3, cloned=50, kept=1.0, inferred=0.0, silent=0.6, check_every=150,
    problems=40,
)  # fmt: skip

VARIANTS: Mapping[str, tuple[ImitationConfig, CloningTraining]] = {
    ALONG: (ImitationConfig(reads=ALONG, row=64, moments=101), replace(SHOWN, inferred=0.5)),
    "attention": (ImitationConfig(moments=50, dilated=3), replace(SHOWN, updates=1000, rate=6e-3)),
    RECURRENT: (ImitationConfig(reads=RECURRENT), replace(SHOWN, updates=1000, rate=1e-3)),
}
"""What is trained. The core that follows has less than a minute; the others, which do not learn it in that, more."""

ADAPTATION, ADAPTED = AdaptationConfig(steps=3, rate=2e-2), 1000
"""Of the learned loss, and updates of its training, each on :data:`PAIRS` demonstrations."""

PAIRS = 16

ROW_DRAWINGS, ROW_SCENES = range(1, 73, 4), 10
"""Drawings of which rows are made, each from one demonstration, and new sheets for each, half of them with a push."""

FINE_TUNED = ((30, 1e-4), (100, 3e-4))
"""Steps of fine-tuning, and their rate."""

FAR = replace(LEARNER.learning, updates=100, row_rate=1e-2)
"""How rows are learned beside random weights, which have further to go."""

Scores = dict[str, list[float]]


def folder(variant: str, seed: int) -> Path:
    """Of the trained library."""
    return RUNS / NAME / f"{variant}-{seed}"


def world(**settings: Any) -> Pen:
    return Pen("sheet", {"data": DATA, **settings})


def digits(number: int) -> list[int]:
    return [int(digit) for digit in str(number)]


def layouts(split: int, push: int, drawings: Sequence[int], scenes: int) -> list[Layout]:
    """New sheets for some drawings of a split, drawing by drawing."""
    return [
        {"EPISODE": digits(FIRST + 1000 * drawing + scene), "DRAWING": digits(drawing), "SPLIT": [split],
         "PUSH": [push]}
        for drawing in drawings for scene in range(scenes)
    ]  # fmt: skip


def all_layouts(split: int, push: int) -> list[Layout]:
    return layouts(split, push, range(1, DRAWINGS[split] + 1), SCENES)


# --- told by the demonstration ----------------------------------------------------------------------------------------


def trained(variant: str, seed: int) -> Result:
    """Train a variant on people's drawings; CPU seconds of it."""
    config, training = VARIANTS[variant]
    text = (ROOT / "programs" / "learning" / "pen.npi").read_text().replace("data: strokes", f"data: {DATA}")
    began = time.process_time()
    train_learner(
        [loads(text, path="pen.npi")], out=folder(variant, seed), config=config, checked=told,
        training=replace(training, seed=seed),
    )  # fmt: skip
    return {"seconds": time.process_time() - began}


def told(objective: LearnerObjective, update: int) -> None:
    """Print how far training has come."""
    print(update, {name: round(score, 3) for name, score in objective.curve[-1]["scores"].items()}, flush=True)


def opened(variant: str, seed: int) -> tuple[Library, Core]:
    """The trained library, and its network."""
    library = Library.open(folder(variant, seed))
    core: Any = learner_program_core(library.core).net
    return library, core


@torch.no_grad()
def drawn(core: Core, place: Pen, begun: Sequence[Layout], row_BP: torch.Tensor) -> Scores:
    """The scores of a core, by the demonstration where the world shows one, else by rows alone."""
    state = place.reset(begun)
    task = task_of(place.spec, 0, row_BP)
    rollout(core, place, state, task, core.begin(task, place.observe(state)), place.config.steps)
    return listed(judged(state.trail_BT3, state))


def listed(scores: Mapping[str, torch.Tensor]) -> Scores:
    return {name: score_B.tolist() for name, score_B in scores.items()}


def told_scores(variant: str, seed: int) -> Result:
    """In scenes of the test split, with actions told and without."""
    library, core = opened(variant, seed)
    row_P = library.memory.embeddings_NP[0].detach()
    found = {}
    for actions in ("yes", "no"):
        for push in (QUIET, PUSHED):
            begun = all_layouts(TESTED, push)
            found[f"{actions}-{push}"] = drawn(core, world(actions=actions), begun, row_P.expand(len(begun), -1))
    return found


def opponents() -> Result:
    """Replay, a controller, and both together; gains are those that are best on the validation split."""
    place, validated = world(), [one for push in (QUIET, PUSHED) for one in all_layouts(VALIDATED, push)]
    gains = {name: chosen_gains(place, validated[::4], control) for name, control in CONTROLS.items()}
    found: dict[str, Any] = {"gains": {name: asdict(one) for name, one in gains.items()}}
    for push in (QUIET, PUSHED):
        state = place.reset(all_layouts(TESTED, push))
        shown = rebased(shown_in(place, state), state)
        policies = {"replay": replay(shown)} | {name: CONTROLS[name](shown, gains[name]) for name in CONTROLS}
        for name, policy in policies.items():
            found[f"{name}-{push}"] = listed(tried(place, place.reset(all_layouts(TESTED, push)), policy))
        generator = torch.Generator().manual_seed(0)
        by_hand = place.demonstrate(all_layouts(TESTED, push), generator=generator).scores
        found[f"demonstrator-{push}"] = listed({name: score_TB[-1] for name, score_TB in by_hand.items()})
    return found


CONTROLS = {"tracking": tracking, "both": both}


# --- rows -------------------------------------------------------------------------------------------------------------


def evidence_of(place: Pen, drawings: Sequence[int], seed: int) -> Episodes:
    """One demonstration of each drawing of the test split, on a sheet of its own."""
    begun = [
        {"EPISODE": digits(2 * FIRST + drawing), "DRAWING": digits(drawing), "SPLIT": [TESTED], "PUSH": [QUIET]}
        for drawing in drawings
    ]
    return place.demonstrate(begun, generator=torch.Generator().manual_seed(1000 + seed))


def row_layouts(drawings: Sequence[int]) -> list[Layout]:
    """Half of the scenes of a drawing without a push, then half with one."""
    half = ROW_SCENES // 2
    return [one for n in drawings for push in (QUIET, PUSHED) for one in layouts(TESTED, push, [n], half)]


def usual_rows(core: FollowingCore) -> torch.Tensor:
    """row_P: the mean of the rows that drawings of training are made into."""
    begun: list[Layout] = [{"EPISODE": digits(number), "SPLIT": [TRAINED]} for number in range(200)]
    place = world()
    with torch.no_grad():
        return core.inferred(core.read(place.observe(place.reset(begun)))).mean(0)


def rows(seed: int) -> Result:
    """Each way to a row from one demonstration: scores, drawing by drawing, and CPU seconds of the gradient."""
    library, core = followed(seed)
    held, place = learner_program_core(library.core), world(shown="no")
    digest, kept_NP = held.digest(), library.memory.embeddings_NP.detach().clone()
    mean_P = usual_rows(core)
    found: dict[str, Any] = {"seconds": []}

    def note(name: str, net: Core, row_P: torch.Tensor, drawing: int) -> None:
        begun = row_layouts([drawing])
        for score, values in drawn(net, place, begun, row_P.expand(len(begun), -1)).items():
            found.setdefault(name, {}).setdefault(score, []).extend(values)

    for drawing in ROW_DRAWINGS:
        evidence = evidence_of(place, [drawing], seed)
        with torch.no_grad():
            told_P = core.inferred(of_episodes(evidence, core.sizes))[0]
        note("inferred", core, told_P, drawing)
        note("mean", core, mean_P, drawing)
        began = time.process_time()
        learned = row_from_demonstrations(held, place.spec, 0, evidence, mean_P, LEARNER.learning)
        found["seconds"].append(time.process_time() - began)
        note("gradient", core, learned.row_P, drawing)
        for steps, rate in FINE_TUNED:
            note(f"fine-tuned, {steps}", *fine_tuned(core, place, evidence, told_P, steps, rate), drawing)
        untrained = beside_random(held, seed)
        beside = row_from_demonstrations(untrained, place.spec, 0, evidence, mean_P, FAR)
        note("random", untrained.net, beside.row_P, drawing)  # type: ignore[arg-type]
    found["unchanged"] = held.digest() == digest and torch.equal(kept_NP, library.memory.embeddings_NP)
    return found


def followed(seed: int) -> tuple[Library, FollowingCore]:
    """The trained core that follows."""
    library, core = opened(ALONG, seed)
    assert isinstance(core, FollowingCore)
    return library, core


def beside_random(held: LearnerProgramCore, seed: int) -> LearnerProgramCore:
    """A core of random weights in place of the trained ones."""
    found, config = copy.deepcopy(held), held.config
    assert isinstance(config, ImitationConfig)
    found.net = LEARNER.core(config, held.worlds, generator=torch.Generator().manual_seed(77 + seed))
    return found


def fine_tuned(
    core: Core, place: Pen, evidence: Episodes, row_P: torch.Tensor, steps: int, rate: float
) -> tuple[Core, torch.Tensor]:
    """All weights and the row, moved so that the demonstrated actions become likelier."""
    net, row_1P = copy.deepcopy(core), nn.Parameter(row_P[None].clone())
    optimizer = torch.optim.Adam([*net.parameters(), row_1P], lr=rate)
    for _ in range(steps):
        task = task_of(place.spec, 0, row_1P)
        unrolled = net.unroll(task, evidence, net.begin(task))
        optimizer.zero_grad()
        (-masked_mean(unrolled["log_likelihood"], evidence.live_TB)).backward()
        optimizer.step()
    return net, row_1P.detach()[0]


# --- a learned loss, without actions ----------------------------------------------------------------------------------


def pairs_of(place: Pen, seed: int) -> Callable[[int], tuple[Episodes, Episodes]]:
    """By the number of an update: demonstrations of drawings of training, and others of the same on other sheets."""

    def pairs(number: int) -> tuple[Episodes, Episodes]:
        rng = np.random.default_rng([seed, 1 + number])
        drawings = 1 + rng.integers(len(place.numbers[TRAINED]), size=PAIRS)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        both_sheets = [
            [{"EPISODE": digits(int(e)), "DRAWING": digits(int(d)), "PUSH": [push]}
             for e, d in zip(rng.integers(10**8, size=PAIRS), drawings, strict=True)]
            for push in (QUIET, 0)
        ]  # fmt: skip
        shown, other = (place.demonstrate(begun, generator=generator) for begun in both_sheets)
        return shown, other

    return pairs


def adapted(seed: int) -> Result:
    """Rows by a learned loss, of demonstrations without actions."""
    _, core = followed(seed)
    core.requires_grad_(False)
    place = world(shown="no")
    learned = AdaptationLoss(core, usual_rows(core), replace(ADAPTATION, seed=seed))
    objective = LearnedAdaptation(core, 0, place.spec, learned, pairs_of(place, seed))
    began = time.process_time()
    falls = Schedule(ADAPTED, 100, lambda n: 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * n / ADAPTED)), 1.0)
    fit(objective, falls, report=lambda p: print(p.update, p.scores, flush=True) if p.update % 100 == 0 else None)
    seconds = time.process_time() - began
    began = time.process_time()
    with torch.no_grad():
        row_NP = learned(core, 0, place.spec, evidence_of(place, ROW_DRAWINGS, seed))
        start_NP = learned.start_P.expand_as(row_NP)
    took = (time.process_time() - began) / len(ROW_DRAWINGS)
    begun = row_layouts(ROW_DRAWINGS)
    found = {
        name: drawn(core, place, begun, each_NP.detach().repeat_interleave(ROW_SCENES, 0))
        for name, each_NP in (("learned loss", row_NP), ("its start", start_NP))
    }
    return {**found, "seconds": seconds, "each": took}


# --- stages -----------------------------------------------------------------------------------------------------------


def stage(seed: int, variant: str) -> Result:
    """A variant, trained and tried."""
    config, training = VARIANTS[variant]
    settings = {"config": config.to_json(), "training": training.to_json()}
    took = finished(f"{NAME}/{variant}-{seed}-trained", partial(trained, variant, seed), settings=settings)
    return finished(f"{NAME}/{variant}-{seed}-drawn", partial(told_scores, variant, seed)) | took


def row_stage(seed: int) -> Result:
    stage(seed, ALONG)
    return finished(f"{NAME}/rows-{seed}", partial(rows, seed))


def adapted_stage(seed: int) -> Result:
    stage(seed, ALONG)
    settings = asdict(ADAPTATION) | {"updates": ADAPTED}
    return finished(f"{NAME}/adapted-{seed}", partial(adapted, seed), settings=settings)


def opponent_stage(seed: int) -> Result:
    """The same for all seeds."""
    return finished(f"{NAME}/opponents", opponents)


STAGES: Mapping[str, Callable[[int], Result]] = {
    "opponents": opponent_stage, **{variant: partial(stage, variant=variant) for variant in VARIANTS},
    "rows": row_stage, "adapted": adapted_stage,
}  # fmt: skip


# --- page -------------------------------------------------------------------------------------------------------------


def cells(quiet: Sequence[Scores], pushed: Sequence[Scores]) -> list[str]:
    """Errors without and with a push, and of both together strokes in order and right drawings, over seeds."""
    found = [spread([100 * fmean(one["error"]) for one in scores], 2) for scores in (quiet, pushed)]
    pairs = list(zip(quiet, pushed, strict=True))
    for name in ("order", "success"):
        found.append(spread([100 * fmean([*a[name], *b[name]]) for a, b in pairs], 1))
    return found


HEAD = ["error", "error, pushed", "strokes in order", "right"]


def told_table(seeds: Sequence[int]) -> Rows:
    """Learners of each seed that is finished, beside opponents."""
    lines: Rows = [["", *HEAD, "updates", "CPU s of training"]]
    for variant, (_, training) in VARIANTS.items():
        done = [stage(seed, variant) for seed in (seeds if variant == ALONG else seeds[:1])]
        took = [training.updates, f"{fmean(one['seconds'] for one in done):.0f}"]
        for actions, name in (("yes", ""), ("no", ", no actions")):
            scores = ([one[f"{actions}-{push}"] for one in done] for push in (QUIET, PUSHED))
            lines = [*lines, [variant + name, *cells(*scores), *took]]
    opposed = opponent_stage(0)
    for key, name in NAMES.items():
        scores = ([opposed[f"{key}-{push}"]] for push in (QUIET, PUSHED))
        lines = [*lines, [name, *cells(*scores), "", ""]]
    return lines


NAMES = {
    "replay": "replay of the forces",
    "tracking": "controller, places",
    "both": "controller, places and forces",
    "demonstrator": "the demonstrator itself, who knows the path",
}


def row_table(seeds: Sequence[int]) -> Rows:
    """Ways to a row, over seeds; the learned loss in the first of them."""
    done, first = [row_stage(seed) for seed in seeds], [adapted_stage(seeds[0])]
    lines: Rows = [["row", *HEAD]]
    for results in (done, first):
        for name in (name for name, held in results[0].items() if isinstance(held, dict)):
            halves = ([part(one[name], push) for one in results] for push in (QUIET, PUSHED))
            lines = [*lines, [name, *cells(*halves)]]
    return lines


def part(scores: Scores, push: int) -> Scores:
    """The scenes of rows without a push, or with one."""
    half = ROW_SCENES // 2
    first = 0 if push == QUIET else half
    return {
        name: [value for n in range(first, len(values), ROW_SCENES) for value in values[n : n + half]]
        for name, values in scores.items()
    }


def difference(mine: Scores, other: Scores) -> tuple[float, float]:
    """Of errors in the same scenes, in percent of the size: mean, and half of a 95 % interval."""
    values = 100 * (np.array(mine["error"]) - np.array(other["error"]))
    return float(values.mean()), float(1.96 * values.std(ddof=1) / len(values) ** 0.5)


def against_table(seeds: Sequence[int]) -> Rows:
    """The core that follows less each opponent, in the same scenes."""
    opposed = opponent_stage(0)
    lines: Rows = [["less", "without a push", "with a push"]]
    for key in ("replay", "tracking", "both"):
        line = [NAMES[key]]
        for push in (QUIET, PUSHED):
            found = [difference(stage(seed, ALONG)[f"yes-{push}"], opposed[f"{key}-{push}"]) for seed in seeds]
            line.append("; ".join(f"{mean:+.2f} ± {half:.2f}" for mean, half in found))
        lines = [*lines, line]
    return lines


def split_table() -> Rows:
    drawings = pen_drawings(DATA, 1)
    place, named = world(), split_alphabets(drawings, world().config.division)
    lines: Rows = [["split", "alphabets", "drawings"]]
    for number, split in enumerate(SPLITS):
        lines = [*lines, [split, ", ".join(named[split]), len(place.numbers[number])]]
    return lines


def gains_told() -> str:
    """Of the controllers."""
    return "; ".join(
        f"{NAMES[name]}: stiffness {one['stiffness']:g}, brake {one['brake']:g}, {one['lead']} moments ahead"
        for name, one in opponent_stage(0)["gains"].items()
    )


def main() -> None:
    parser = arguments(__doc__, seeds=range(3))
    parser.add_argument("--data", type=Path, required=True, help="Omniglot's strokes, a folder or zip")
    parser.add_argument("--only", choices=list(STAGES), help="this stage alone")
    options = parser.parse_args()
    bind(f"{DATA}={options.data}")
    if options.only:
        for seed in options.seeds:
            STAGES[options.only](seed)
        return
    learned = [row_stage(seed) for seed in options.seeds]
    write(NAME, {
        "split": split_table(), "told": told_table(options.seeds), "against": against_table(options.seeds),
        "rows": row_table(options.seeds), "gains": gains_told(),
        "seconds": f"{max(second for one in learned for second in one['seconds']):.1f}",
        "unchanged": "bit-identical" if all(one["unchanged"] for one in learned) else "changed",
        "adaptation": f"{adapted_stage(options.seeds[0])['seconds']:.0f}",
    })  # fmt: skip


if __name__ == "__main__":
    main()
