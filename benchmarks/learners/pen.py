"""A pen that draws as a demonstration shows: beside replayed forces, a controller, and cores that read otherwise; rows.

    python -m benchmarks.learners.pen --data strokes_background_small1.zip     # three seeds: about half an hour of CPU
    python -m benchmarks.learners.pen --data FILE.zip --only along --seeds 0   # or another stage
    python -m benchmarks.learners.pen --table                                  # only write the page of what is finished

Each stage has a file under ``runs/pen``, so that a run that was stopped resumes. Scenes are those of episodes from 10^9
on, which no training draws; alphabets and drawers are those of a split.

Shape legend: ``B`` scenes, ``N`` drawings, ``P`` parameters of a row, ``T`` steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from benchmarks.common import ROOT, arguments, finished, write
from benchmarks.learners.pen_opponents import both, chosen_gains, rebased, replay, shown_in, tracking, tried
from benchmarks.learners.pen_rows import ADAPTATION, ADAPTED, ROW_SCENES, adapted, rows
from benchmarks.learners.pen_scenes import (
    DATA,
    NAME,
    PUSHED,
    QUIET,
    TESTED,
    VALIDATED,
    VARIANTS,
    Scores,
    all_layouts,
    drawn,
    folder,
    listed,
    opened,
    world,
)
from dsl import loads
from envs.control.pen_strokes import SPLITS, pen_drawings, split_alphabets
from envs.images import bind
from meta.imitation.network import ALONG
from npi.jobs.learners import train_learner
from npi.learners.objectives.base import LearnerObjective
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows, spread

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
        f"{NAMES[name]}: stiffness {one['stiffness']:g}, brake {one['brake']:g}, lead {one['lead']}"
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
