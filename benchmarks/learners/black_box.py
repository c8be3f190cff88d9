"""The shipped searcher beside random search, TPE, CMA-ES and a Gaussian process with fitted kernel, on equal functions.

    python -m benchmarks.learners.black_box                  # about an hour; needs optuna, cmaes and scipy
    python -m benchmarks.learners.black_box --only samples   # or literature, bbob, workers
    python -m benchmarks.learners.black_box --table          # only write the page from what is finished

Each stage has a file under ``runs/black-box``, so that a run that was stopped resumes. Functions are those of episodes
from 10^8 on, which training never draws; each opponent has the first ones of the same functions, with a seed each.

Shape legend: ``N`` functions, ``T`` queries, ``D`` dimensions.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from statistics import fmean

import torch

from benchmarks.common import arguments, finished, write
from benchmarks.learners.shipped_searcher import LEARNED
from envs.black_box.world import BlackBox
from meta.black_box.ask_tell import PLAIN, SHIPPED, Searcher
from npi.learners.core import learner_program_core
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.rollout import play
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows

NAME = "black-box"

FIRST = 10**8
"""The first function's number."""

QUERIES = (10, 20, 40, 100)

SAMPLES = {f"gp{d}": {"function": "gp", "dimensions": d, "length_scale": 0.3} for d in (1, 3, 6, 9)}
"""Samples of Gaussian processes; of some the shipped core has a row that was learned from others."""

LITERATURE = {name: {"function": name} for name in ("branin", "goldstein_price", "hartmann3", "hartmann6", "repellers")}

GROUPS = {
    "separable": range(1, 6), "moderate conditioning": range(6, 10), "high conditioning": range(10, 15),
    "multi-modal": range(15, 20), "weak structure": range(20, 25),
}  # fmt: skip
"""The functions of BBOB (Hansen et al. 2009)."""

BBOB = {
    f"bbob{n}-{d}": {"function": "bbob", "number": n, "dimensions": d} for d in (2, 5, 10) for n in range(1, 25)
}  # fmt: skip

COUNTS = {"samples": (200, 100), "literature": (100, 100), "bbob": (5, 5)}
"""Functions of ours, and of each opponent."""

PROCESSES = 4
"""Functions that the fitted Gaussian process has: each takes up to half a minute."""

WORKED = 16
"""Functions that are evaluated by several workers."""

PLAIN_ROW, LEARNED_ROW = OURS = ("plain row", "learned row")
"""The core without experience, and with that of the family where there is such a row."""


@cache
def library() -> Library:
    return Library.open(SHIPPED)


def searched(net: LearnerCore, row_P: torch.Tensor, settings: Mapping[str, object], count: int) -> list[list[float]]:
    """Values of all queries, N × T."""
    world = BlackBox("functions", dict(settings))
    state = world.begin(torch.arange(FIRST, FIRST + count))
    task = TaskInput(world.spec, 0, row_P.expand(count, -1), torch.zeros(count, 3, dtype=torch.int64))
    found: list[list[float]] = play(net, world, state, task, QUERIES[-1]).scores["value"].T.tolist()
    return found


def ours(program: str, settings: Mapping[str, object], count: int) -> Result:
    """The shipped core by the row of a program."""
    row_P = library().memory.embeddings_NP[library().memory.index(program)].detach()
    began = time.process_time()
    values = searched(learner_program_core(library().core).net, row_P, settings, count)
    return {"best": bests(values), "seconds": (time.process_time() - began) / count}


def bests(values_NT: Sequence[Sequence[float]]) -> list[list[float]]:
    """The least value after each of :data:`QUERIES`."""
    return [[min(values_T[:queries]) for queries in QUERIES] for values_T in values_NT]


def opponent(kind: str, settings: Mapping[str, object], count: int) -> Result:
    """One of Optuna's samplers on the first functions, a study each."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    samplers: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
        "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
        "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
        "CMA-ES": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
        "GP": lambda seed: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
    }
    world = BlackBox("functions", dict(settings))
    state = world.begin(torch.arange(FIRST, FIRST + count))
    began, found = time.process_time(), []
    for number in range(count):
        study = optuna.create_study(sampler=samplers[kind](number))
        study.optimize(partial(_evaluated, world, state.given_BG[number : number + 1]), n_trials=QUERIES[-1])
        found.append([trial.value for trial in study.get_trials(deepcopy=False) if trial.value is not None])
    return {"best": bests(found), "seconds": (time.process_time() - began) / count}


def _evaluated(world: BlackBox, given_1G: torch.Tensor, trial: object) -> float:
    point = [trial.suggest_float(f"x{place}", 0, 1) for place in range(world.config.dimensions)]  # type: ignore[attr-defined]
    return float(world.function.value(torch.tensor([point]), given_1G))


def workers(settings: Mapping[str, object], count: int, parallel: int) -> list[list[float]]:
    """Values in the order of their return, where so many evaluations run side by side, each for a time that is normally
    distributed about 1 with a standard deviation of 0.1 (Chen et al. 2017, section 3.5)."""
    world = BlackBox("functions", dict(settings))
    state = world.begin(torch.arange(FIRST, FIRST + count))
    generator = torch.Generator().manual_seed(0)
    found = []
    for number in range(count):
        search, values = Searcher.open(world.config.dimensions), list[float]()
        running = list[tuple[float, tuple[float, ...]]]()
        now = 0.0
        while len(values) < QUERIES[-1]:
            while len(running) < parallel:
                takes = 1 + 0.1 * float(torch.randn(1, generator=generator))
                running.append((now + takes, search.ask()))
            running.sort()
            now, point = running.pop(0)
            value = float(world.function.value(torch.tensor([point]), state.given_BG[number : number + 1]))
            search.tell(point, value)
            values.append(value)
        found.append(values)
    return found


def speed(dimensions: int = 6) -> Result:
    """Milliseconds of a proposal of one problem, without the evaluation: the mean of all, and of the last ten."""
    search = Searcher.open(dimensions)
    generator, times = torch.Generator().manual_seed(0), list[float]()
    for _ in range(QUERIES[-1]):
        began = time.perf_counter()
        point = search.ask()
        took = time.perf_counter() - began
        value = float(torch.randn(1, generator=generator))
        began = time.perf_counter()
        search.tell(point, value)
        times.append(1000 * (took + time.perf_counter() - began))
    return {"milliseconds": fmean(times), "last": fmean(times[-10:])}


# --- stages ----------------------------------------------------------------------------------------------------------


def stage(group: str, name: str, settings: Mapping[str, object]) -> dict[str, Result]:
    """All searchers on one family; those that are finished are read."""
    mine, theirs = COUNTS[group]
    found = {
        PLAIN_ROW: finished(f"{NAME}/{name}-plain", partial(ours, PLAIN, settings, mine)),
    }
    if name in LEARNED:
        found[LEARNED_ROW] = finished(f"{NAME}/{name}-row", partial(ours, f"{name}.SEARCH", settings, mine))
    for kind in ("random", "TPE", "CMA-ES"):
        if kind == "CMA-ES" and name == "gp1":
            continue  # it needs two dimensions
        found[kind] = finished(f"{NAME}/{name}-{kind}", partial(opponent, kind, settings, theirs))
    if group == "samples" or name == "hartmann6":
        found["GP"] = finished(f"{NAME}/{name}-GP", partial(opponent, "GP", settings, PROCESSES))
    return found


def mean_after(result: Result, place: int, count: int | None = None) -> float:
    """The mean best value after ``QUERIES[place]`` queries, of the first functions."""
    return fmean(best[place] for best in result["best"][:count])


def table(group: str, families: Mapping[str, Mapping[str, object]]) -> Rows:
    """Mean best values; the same functions in a row, so all are of the functions that opponents have, too."""
    queries = [str(count) for count in QUERIES]
    rows: Rows = [["family", "searcher", "functions", *queries, "CPU s a function"]]
    for name, settings in families.items():
        for kind, result in stage(group, name, settings).items():
            counts = {len(result["best"])} | ({COUNTS[group][1], PROCESSES} if kind in OURS else set())
            for count in sorted(counts, reverse=True):
                cells = [f"{mean_after(result, place, count):.3f}" for place in range(len(QUERIES))]
                rows.append([name, kind, count, *cells, f"{result['seconds']:.3f}"])
    return rows


def bbob_table() -> Rows:
    """The mean rank of each searcher after 100 queries, 1 the best, by group of functions and dimensions."""
    kinds = (PLAIN_ROW, "random", "TPE", "CMA-ES")
    rows: Rows = [["functions", "dimensions", *kinds]]
    for size in (2, 5, 10):
        for group, numbers in {**GROUPS, "all": range(1, 25)}.items():
            ranks: list[list[float]] = []
            for number in numbers:
                name = f"bbob{number}-{size}"
                found = stage("bbob", name, BBOB[name])
                for instance in range(COUNTS["bbob"][1]):
                    last = [found[kind]["best"][instance][-1] for kind in kinds]
                    ranks.append([sum(other < one for other in last) + (last.count(one) + 1) / 2 for one in last])
            rows.append([group, size, *(f"{fmean(column):.2f}" for column in zip(*ranks, strict=True))])
    return rows


def parallel_table() -> Rows:
    """Five workers beside one, on the first functions of each family of samples."""
    rows: Rows = [["family", "one worker", "five workers"]]
    for name, settings in SAMPLES.items():
        found = finished(
            f"{NAME}/{name}-workers",
            lambda settings=settings: {str(n): bests(workers(settings, WORKED, n)) for n in (1, 5)},  # type: ignore[misc]
        )
        rows.append([name, *(f"{fmean(best[-1] for best in found[str(n)]):.3f}" for n in (1, 5))])
    return rows


def main() -> None:
    parser = arguments(__doc__, seeds=[0])
    parser.add_argument("--only", choices=["samples", "literature", "bbob", "workers"], help="these stages alone")
    options = parser.parse_args()
    makes: dict[str, Callable[[], Rows]] = {
        "samples": lambda: table("samples", SAMPLES),
        "literature": lambda: table("literature", LITERATURE),
        "bbob": bbob_table,
        "workers": parallel_table,
    }
    if options.only:
        makes[options.only]()
        return
    took = finished(f"{NAME}/speed", speed)
    contents = {name: make() for name, make in makes.items()}
    write(NAME, {**contents, "milliseconds": f"{took['milliseconds']:.2f}", "last": f"{took['last']:.2f}"})


if __name__ == "__main__":
    main()
