"""Learned optimisers beside tuned ones: ``python -m benchmarks.learners.optimisers``.

For each seed one core is trained on four families, a row each; then a row for networks with rectified units is learned
beside it. Writes ``docs/results/optimisers.md`` and the curves beside it. What is done is kept in ``runs/optimisers``.

Shape legend: ``B`` problems, ``S`` steps, ``D`` parameters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, RUNS, arguments, finished, run_recipe
from benchmarks.learners.cores import trained_core
from dsl import load
from envs.objectives.world import Optimisee, OptimiseeState
from envs.stepper import Action
from meta.optimisation.learner import LEARNER
from meta.optimisation.network import OptimiserCore
from meta.optimisation.torch_optimizer import row_of
from npi.jobs.train import learn_into
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import TaskInput
from npi.learners.rollout import play as run_program
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread
from npi.reproduce.plots import label, panels, png

NAME = "optimisers"

TRAINED = ("quadratic", "rosenbrock", "digits", "conv")
"""The program files whose rows are trained with the core; ``relu`` is not among them."""

BEGIN = 100_000_000
"""The first problem's number: such as no task of programs/learning trains on."""

COUNT, TUNED_ON = 1000, 32
"""Problems of a trial; networks on which baselines' rates are tried."""

TOGETHER, CARRYING = 100, 8
"""Networks side by side, and those whose numbers carry hidden ones, so that what is computed stays in the caches."""

HORIZONS = (20, 50, 100, 200)

LONGER = {"quadratic": 200, "digits": 200}
"""Families that are run for twice the steps of training."""

RATES = [10 ** (half / 2) for half in range(-10, 3)]
"""From 0.00001 to 10; each baseline has for each horizon the one that is best there."""

Made = Callable[[list[torch.Tensor], float], torch.optim.Optimizer]

BASELINES: dict[str, Made] = {
    "SGD": lambda parameters, rate: torch.optim.SGD(parameters, rate),
    "momentum": lambda parameters, rate: torch.optim.SGD(parameters, rate, momentum=0.9),
    "RMSprop": lambda parameters, rate: torch.optim.RMSprop(parameters, rate),
    "Adam": lambda parameters, rate: torch.optim.Adam(parameters, rate),
}
"""All of them look at each number by itself, so the stacked parameters of a batch are one big parameter to them."""


@dataclass(frozen=True)
class Trial:
    """Problems that optimisers are compared on.

    Attributes:
        file: the program file whose world it is, with some settings changed. rows: the programs whose rows are tried,
            by the names that tables give them.
    """

    name: str
    file: str
    rows: dict[str, str]
    changed: dict[str, Any]
    steps: int = 100
    count: int = COUNT

    @property
    def slug(self) -> str:
        """As a file's name."""
        return self.name.replace(" ", "-")

    def world(self) -> Optimisee:
        found = load(ROOT / "programs" / "learning" / f"{self.file}.npi").world
        assert isinstance(found, Optimisee)
        return Optimisee(found.spec.name, replace(found.config, **self.changed))

    def states(self, world: Optimisee, count: int, most: int = TOGETHER) -> Iterator[OptimiseeState]:
        """So many of its problems, some at a time; networks see images that no training shows."""
        together = most if world.function.images else count
        for begin in range(0, count, together):
            episode_B = torch.arange(BEGIN + begin, BEGIN + min(begin + together, count))
            yield world.begin(episode_B, torch.ones_like(episode_B))


def own(file: str) -> dict[str, str]:
    return {"learned": f"{file}.OPTIMISE"}


TRIALS = (
    *(Trial(file, file, own(file), {}, steps=LONGER.get(file, 100)) for file in TRAINED),
    Trial("relu", "relu", {"learned": "relu.OPTIMISE", "sigmoid's row": "digits.OPTIMISE"}, {}),
    Trial("40 units", "digits", own("digits"), {"units": 40}),
    Trial("two layers", "digits", own("digits"), {"layers": 2}),
)


# --- rollouts --------------------------------------------------------------------------------------------------------


def descend(world: Optimisee, states: Iterable[OptimiseeState], make: Made, rate: float, steps: int) -> torch.Tensor:
    """loss_SB after each step of a baseline."""
    return torch.cat([_descend(world, state, make, rate, steps) for state in states], 1)


def _descend(world: Optimisee, state: OptimiseeState, make: Made, rate: float, steps: int) -> torch.Tensor:
    own_BD = state.theta_BD.detach().clone().requires_grad_()
    optimizer, losses = make([own_BD], rate), []
    call_B4 = torch.zeros(state.batch, 4, dtype=torch.int64)
    for _ in range(steps):
        gradient_BD = world.observe(state).channels["gradient"]
        assert isinstance(gradient_BD, torch.Tensor)
        own_BD.grad = gradient_BD.clone()
        before_BD = own_BD.detach().clone()
        optimizer.step()
        with torch.no_grad():
            world.act(state, Action(call_B4, own_BD - before_BD), torch.ones(state.batch, dtype=torch.bool))
            losses.append(world.score(state)["loss"])
    return torch.stack(losses)


@torch.no_grad()
def learned(
    net: OptimiserCore, row_P: torch.Tensor, world: Optimisee, states: Iterable[OptimiseeState], steps: int
) -> torch.Tensor:
    """loss_SB after each step of a row."""
    found = []
    for state in states:
        arguments_B3 = torch.zeros(state.batch, 3, dtype=torch.int64)
        task = TaskInput(world.spec, 0, row_P.expand(state.batch, -1), arguments_B3)
        found.append(run_program(net, world, state, task, steps).scores["loss"])
    return torch.cat(found, 1)


def curves(loss_SB: torch.Tensor) -> Result:
    """Means, standard errors and quantiles of each step; what is no number counts as infinite."""
    loss_SB = loss_SB.double().nan_to_num(math.inf, math.inf)
    low, middle, high = loss_SB.quantile(torch.tensor([0.1, 0.5, 0.9]).double(), 1).tolist()
    error_S = loss_SB.std(1) / loss_SB.shape[1] ** 0.5
    return {"mean": loss_SB.mean(1).tolist(), "error": error_S.tolist(), "low": low, "middle": middle, "high": high}


def baselines(trial: Trial) -> Result:
    """The baselines with their best rates: name → horizon → rate and curves. A stage for all seeds."""
    return finished(f"{NAME}-baselines/{trial.slug}", partial(_baselines, trial))


def _baselines(trial: Trial) -> Result:
    began, world = time.perf_counter(), trial.world()
    found: Result = {}
    tuned_on = TUNED_ON if world.function.images else trial.count
    for name, make in BASELINES.items():
        tried = {r: curves(descend(world, trial.states(world, tuned_on), make, r, trial.steps))["mean"] for r in RATES}
        best = {k: min(RATES, key=lambda rate: tried[rate][k - 1]) for k in HORIZONS if k <= trial.steps}
        final = {r: curves(descend(world, trial.states(world, trial.count), make, r, trial.steps))
                  for r in set(best.values())}  # fmt: skip
        found[name] = {str(k): {"rate": rate, **final[rate]} for k, rate in best.items()}
        best_ones = ", ".join(f"{final[r]['mean'][k - 1]:.4f} ({r:.4g})" for k, r in best.items())
        print(f"{trial.name}, {name}: {best_ones}; {time.perf_counter() - began:.0f} s", flush=True)
    return found


# --- a seed ----------------------------------------------------------------------------------------------------------


def run(seed: int) -> Result:
    """Train a core, learn the row for rectified units, and try all trials: each a stage."""
    name = f"{NAME}/{seed}"
    files = [ROOT / "programs" / "learning" / f"{file}.npi" for file in TRAINED]
    _, seconds = trained_core(f"{name}/core", files, replace(LEARNER.training, seed=seed), report=_tell)
    stage = partial(finished, seed=seed, training=LEARNER.training.to_json())
    more = RUNS / name / "relu"
    row = stage(f"{name}/row", lambda: learn(RUNS / name / "core" / "library", more, seed))
    library = Library.open(more)
    trials = {trial.name: stage(f"{name}/{trial.slug}", partial(rollouts, library, trial)) for trial in TRIALS}
    return {"seconds": seconds, "relu": row, "trials": trials}


def learn(folder: Path, out: Path, seed: int) -> Result:
    """Learn the row for rectified units beside a core."""
    began = time.process_time()
    relu = ROOT / "programs" / "learning" / "relu.npi"
    row = learn_into(folder, [relu], config=replace(LEARNER.learning, seed=seed), out=out)
    found: Result = {
        "updates": row.updates, "seconds": round(time.process_time() - began), "parameters": row.numbers,
        "unchanged": row.unchanged, **row.scores["relu.OPTIMISE"]._asdict(),
    }  # fmt: skip
    print(found, flush=True)
    return found


def rollouts(library: Library, trial: Trial) -> Result:
    """Curves of each row of a trial."""
    core, world, found = library.core, trial.world(), {}
    assert isinstance(core, LearnerProgramCore)
    assert isinstance(core.net, OptimiserCore)
    for name, program in trial.rows.items():
        states = trial.states(world, trial.count, CARRYING)
        found[name] = curves(learned(core.net, row_of(library, program), world, states, trial.steps))
        means = [figure(found[name]["mean"][k - 1]) for k in HORIZONS if k <= trial.steps]
        print(f"{trial.name}, {name}: {', '.join(means)}", flush=True)
    return found


def _tell(report: Any) -> None:
    if report.update % 100 == 0:
        scores = ", ".join(f"{name} {score:.3f}" for name, score in report.scores.items())
        print(f"{report.update} updates: {scores}", flush=True)


# --- the page --------------------------------------------------------------------------------------------------------


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's table, figures and picture."""
    relus = [seed["relu"] for seed in done]
    kept = sum(relu["learned"] == relu["nearest"] for relu in relus)
    return {
        "losses": rows(done),
        "seeds": str(len(done)),
        "training": spread([seed["seconds"] for seed in done], 0),
        "row": spread([relu["seconds"] for relu in relus], 0),
        "parameters": str(relus[0]["parameters"]),
        "unchanged": "stayed as they were" if all(relu["unchanged"] for relu in relus) else "CHANGED",
        **{key: spread([relu[key] for relu in relus], 3) for key in ("mean", "nearest", "learned")},
        "kept": f"{kept} of {len(done)}",
        "optimisers.png": picture(done),
    }


def rows(done: Sequence[Result]) -> Rows:
    """A row for each trial, horizon and program."""
    found = [["problems", "steps", "row", "learned", *BASELINES, "learned ÷ best"]]
    for trial in TRIALS:
        others = baselines(trial)
        for program, name in ((p, n) for n, p in trial.rows.items()):
            for k in (k for k in HORIZONS if k <= trial.steps):
                means = [seed["trials"][trial.name][name]["mean"][k - 1] for seed in done]
                beside = [(others[o][str(k)]["mean"][k - 1], others[o][str(k)]["rate"]) for o in BASELINES]
                cells = [f"{figure(mean)} ({rate:.2g})" for mean, rate in beside]
                share = sorted(means)[len(means) // 2] / min(mean for mean, _ in beside)
                found.append([trial.name, str(k), program.partition(".")[0], spread(means, 3), *cells, f"{share:.2f}"])
    return found


def figure(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:.3g}"


def picture(done: Sequence[Result]) -> bytes:
    """A panel a trial: medians, and between the quantiles 0.1 and 0.9 a band; baselines have their last rates."""
    sheet, axes = panels(len(TRIALS), across=4, size=(18, 8))
    for trial, place in zip(TRIALS, axes, strict=True):
        others, seed = baselines(trial), done[0]["trials"][trial.name]
        shown = {name: others[name][max(others[name], key=int)] for name in BASELINES} | seed
        for number, (name, one) in enumerate(shown.items()):
            steps = range(1, 1 + trial.steps)
            style = {"color": f"C{number}", "linewidth": 2 if name in seed else 1}
            place.plot(steps, one["middle"], label=name, **style)
            place.fill_between(steps, one["low"], one["high"], color=f"C{number}", alpha=0.12, linewidth=0)
        middles = [value for one in shown.values() for value in one["middle"] if 0 < value < 1e3]
        place.set_yscale("log")
        place.set_ylim(max(1e-4, min(middles) / 2), max(middles) * 2)
        label(place, trial.name, "steps", "loss")
    return png(sheet)


def main() -> None:
    options = arguments(__doc__, seeds=range(3)).parse_args()
    for trial in TRIALS if not options.table else ():
        baselines(trial)
    run_recipe(options, NAME, run, contents, training=LEARNER.training.to_json())


if __name__ == "__main__":
    main()
