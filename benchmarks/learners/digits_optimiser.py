"""The learned optimiser that comes with the engine beside tuned ones, on modules of torch.

    python -m benchmarks.learners.digits_optimiser              # six seeds
    python -m benchmarks.learners.digits_optimiser --train      # train such a core first, into runs/digits-optimiser

Networks on scikit-learn's digits, as torch begins them; the mean of the losses of all steps of a run, on fresh batches
of 128 images before each step. The opponents' rates, limits of gradients and schedules are tuned for each activation,
on networks of other seeds; the learned optimiser has nothing to tune. It was trained on networks of other sizes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import Any, NamedTuple

import torch

from benchmarks.common import ROOT, RUNS, arguments, finished, run_recipe
from benchmarks.learners.cores import trained_core
from benchmarks.learners.descent import Muon
from envs.objectives.functions import UNSEEN, images
from meta.optimisation import LearnedOptimizer
from meta.optimisation.learner import OptimiserTraining
from meta.optimisation.network import OptimiserConfig
from npi.library.library import Library
from npi.program_memory.memory import ProgramMemory
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread

NAME = "digits-optimiser"

FILES = ("mlp", "conv", "quadratic", "rosenbrock")
CONFIG = OptimiserConfig(units=12, clock=1, orthogonal=1)
TRAINING = OptimiserTraining(
    updates=110, batch=64, hidden_budget=300_000, truncation=20, rate=4e-3, row_rate=5e-3, clip=0.1, check_every=22,
    problems=32, floor=0.03,
)  # fmt: skip
"""What the core that comes with the engine was trained on, and how."""

BATCH, TUNED_ON = 128, range(1000, 1003)
"""Images of a step; seeds of the networks that opponents are tuned on."""

CLIPS, SCHEDULES = (None, 1.0), ("constant", "linear")
"""The largest norm of a gradient; the rate of each step, the linear one falling to 0."""


def quarters(first: int, last: int) -> tuple[float, ...]:
    """Rates from 10^(first/4) to 10^(last/4)."""
    return tuple(10 ** (k / 4) for k in range(first, last + 1))


class Opponent(NamedTuple):
    """How an optimiser is made from parameters and a rate, and the rates that it is tuned over."""

    make: Callable[[Any, float], torch.optim.Optimizer]
    rates: tuple[float, ...]


OPPONENTS = {
    "Adam": Opponent(torch.optim.Adam, quarters(-8, -3)),
    "momentum": Opponent(partial(torch.optim.SGD, momentum=0.9), quarters(-5, 3)),
    "Muon": Opponent(Muon, quarters(-8, -3)),
}


@dataclass(frozen=True)
class Trial:
    """A kind of run.

    Attributes:
        width: units of each of the two hidden layers. unseen: only the images that no training of the core shows.
    """

    activation: str
    width: int = 32
    steps: int = 100
    unseen: bool = False

    @property
    def name(self) -> str:
        images = "held out" if self.unseen else "all"
        return f"{self.activation}, 64-{self.width}-{self.width}-10, {self.steps} steps, {images}"

    def losses(
        self, seed: int, make: Callable[[Any], torch.optim.Optimizer], clip: float | None = None, schedule: str = ""
    ) -> list[float]:
        """Of each step, before it."""
        pixels_NI, label_N = (part[-UNSEEN:] if self.unseen else part for part in images())
        model, generator = self.model(seed), torch.Generator().manual_seed(seed)
        optimizer, found = make(model.parameters()), list[float]()
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1 - step / self.steps if schedule == "linear" else 1.0
        )
        for _ in range(self.steps):
            index_M = torch.randint(len(label_N), (BATCH,), generator=generator)
            loss = torch.nn.functional.cross_entropy(model(pixels_NI[index_M]), label_N[index_M])
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            rate.step()
            found.append(loss.item())
        return found

    def model(self, seed: int) -> torch.nn.Module:
        """As torch begins it."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            sizes = [64, self.width, self.width, 10]
            layers = [torch.nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]
        act = getattr(torch.nn, self.activation)
        return torch.nn.Sequential(layers[0], act(), layers[1], act(), layers[2])


TRIALS = [
    Trial(activation, **more)
    for more in ({}, {"unseen": True}, {"width": 128}, {"steps": 300})
    for activation in ("ReLU", "Sigmoid")
]


def tuned(activation: str, name: str) -> Result:
    """The best settings of an opponent for the first trial of an activation; a stage for all seeds."""
    return finished(f"{NAME}-tuned/{activation}-{name}", partial(_tuned, Trial(activation), OPPONENTS[name]))


def _tuned(trial: Trial, opponent: Opponent) -> Result:
    def mean(rate: float, clip: float | None, schedule: str) -> float:
        make = lambda parameters: opponent.make(parameters, rate)  # noqa: E731
        found = [figures(trial.losses(seed, make, clip, schedule))["mean"] for seed in TUNED_ON]
        return sum(found) / len(found)

    tried = {choice: mean(*choice) for choice in product(opponent.rates, CLIPS, SCHEDULES)}
    rate, clip, schedule = min(tried, key=lambda choice: tried[choice])
    edge = rate in (opponent.rates[0], opponent.rates[-1])
    return {"rate": rate, "clip": clip, "schedule": schedule, "edge": edge}


def figures(loss_T: Sequence[float]) -> Result:
    """The mean over the run, and over its last ten steps; what is no number counts as infinite."""
    finite = [loss if math.isfinite(loss) else math.inf for loss in loss_T]
    return {"mean": sum(finite) / len(finite), "last": sum(finite[-10:]) / 10}


def run(seed: int) -> Result:
    """All trials with one seed."""
    found: Result = {}
    for trial in TRIALS:
        found[trial.name] = {"learned": figures(trial.losses(seed, LearnedOptimizer.open))}
        for name, opponent in OPPONENTS.items():
            best = tuned(trial.activation, name)
            make = partial(lambda opponent, rate, params: opponent.make(params, rate), opponent, best["rate"])
            found[trial.name][name] = figures(trial.losses(seed, make, best["clip"], best["schedule"]))
    return found


def cost() -> Result:
    """CPU seconds of a step of a million parameters in one matrix, the least of ten."""
    layer = torch.nn.Linear(1000, 1000, bias=False)
    layer.weight.grad = 0.01 * torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, make in (("learned", LearnedOptimizer.open), ("Adam", torch.optim.Adam)):
        optimizer, seconds = make(layer.parameters()), []
        for _ in range(10):
            began = time.process_time()
            optimizer.step()
            seconds.append(time.process_time() - began)
        found[name] = min(seconds)
    return found


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's table and figures."""
    step = finished(f"{NAME}-cost", cost)
    return {
        "losses": rows(done),
        "seeds": str(len(done)),
        "step": f"{step['learned']:.2f}",
        "adam": f"{1000 * step['Adam']:.1f}",
    }


def rows(done: Sequence[Result]) -> Rows:
    """A row for each trial and optimiser."""
    found = [
        ["networks, steps, images", "optimiser", "rate", "clip", "schedule", "mean over the run", "last ten steps"]
    ]
    for trial in TRIALS:
        for name in ("learned", *OPPONENTS):
            of = [seed[trial.name][name] for seed in done]
            best = tuned(trial.activation, name) if name in OPPONENTS else None
            rate = "–" if best is None else f"{best['rate']:.2g}{' (edge)' if best['edge'] else ''}"
            more = ["–", "–"] if best is None else [str(best["clip"] or "none"), best["schedule"]]
            spreads = [spread([one[key] for one in of], 3) for key in ("mean", "last")]
            found.append([trial.name if name == "learned" else "", name, rate, *more, *spreads])
    return found


def kept(library: Library) -> Library:
    """The library without the row for Rosenbrock's valleys, which so short a training does not make good."""
    memory, chosen = library.memory, slice(len(FILES) - 1)
    rows = {name: number[chosen] for name, number in memory.state_dict().items()}
    return Library(
        library.core, ProgramMemory.holding(memory.infos[chosen], rows), library.sets[chosen], library.history
    )


def main() -> None:
    options = arguments(__doc__, seeds=range(6))
    options.add_argument("--train", action="store_true", help="train a core as the one that comes with the engine")
    chosen = options.parse_args()
    if chosen.train:
        files = [ROOT / "programs" / "learning" / f"{name}.npi" for name in FILES]
        library, seconds = trained_core(f"{NAME}-core", files, TRAINING, config=CONFIG)
        kept(library).save(RUNS / f"{NAME}-core" / "shipped")
        print(f"core {library.core.digest()[:16]}, {seconds:.0f} CPU seconds")
    for activation, name in product(("ReLU", "Sigmoid"), OPPONENTS if not chosen.table else ()):
        print(activation, name, tuned(activation, name), flush=True)
    run_recipe(chosen, NAME, run, contents)


if __name__ == "__main__":
    main()
