"""Optimisation without gradients (Chen et al. 2017): samples of Gaussian processes, and hyper-parameters of new data.

Shape legend: ``B`` problems, ``N`` data sets, ``K`` configurations, ``T`` queries.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dsl import load
from envs.black_box.tables import CONFIGURATIONS
from envs.black_box.world import BlackBox
from envs.images.bindings import bind, bound
from envs.support.atomic_files import write_whole
from meta.black_box.ask_tell import PLAIN, SHIPPED
from meta.black_box.learner import BlackBoxTraining
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, row_of
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.rollout import play
from npi.library.library import Library

BEGIN = 10**8
"""The first function's number: training draws eight digits."""


def searched(
    library: Library, row_P: torch.Tensor, world: BlackBox, count: int, steps: int, test: int = 0
) -> torch.Tensor:
    """best_TB: the least value so far of each query."""
    first = 0 if world.table is not None else BEGIN
    state = world.begin(torch.arange(first, first + count), torch.full((count,), test))
    task = TaskInput(world.spec, 0, row_P.expand(count, -1), torch.zeros(count, 3, dtype=torch.int64))
    episodes = play(learner_program_core(library.core).net, world, state, task, steps)
    return episodes.scores["value"].cummin(0).values


# --- samples of Gaussian processes -----------------------------------------------------------------------------------

QUERIES = 40


def samples(run: Run) -> Found:
    """The shipped core by the row of this family, by its plain row, and random queries, on the same functions."""
    library, count = Library.open(SHIPPED), run.effort.problems
    world = BlackBox("hills", {"function": "gp", "dimensions": 3, "length_scale": 0.3})
    mine_TB = searched(library, row_of(library, "gp3.SEARCH"), world, count, QUERIES)
    run.heed()
    plain_TB = searched(library, row_of(library, PLAIN), world, count, QUERIES)
    given_BG = world.begin(torch.arange(BEGIN, BEGIN + count)).given_BG
    generator = torch.Generator().manual_seed(run.seed)
    random_TB = torch.stack([
        world.function.value(torch.rand(count, 3, generator=generator), given_BG) for _ in range(QUERIES)
    ]).cummin(0).values  # fmt: skip
    curves = {"row of the family": mine_TB, "plain row": plain_TB, "random": random_TB}
    return Found(
        paired(mine_TB[-1], random_TB[-1], higher=False),
        beside={"plain row, which is Bayesian optimisation": float(plain_TB[-1].mean())},
        facts={"trained": "nothing in this run: core and row come with the engine"},
        picture=Picture("queries", "least value so far", {
            name: [[*range(1, 1 + QUERIES)], one_TB.mean(1).tolist()] for name, one_TB in curves.items()
        }),
    )  # fmt: skip


# --- hyper-parameters ------------------------------------------------------------------------------------------------

DATA = "tables"
"""The name that a file of results is bound to with ``--data``; see docs/learning.md, black boxes."""

GENERATED = "ridge"
"""The name of the table that is generated where none is bound."""

FAMILY = "kSVM"
"""Of a bound file, where it has it; else all configurations."""

EVALUATIONS = 10

LEARNING = BlackBoxTraining(updates=80, batch=96, directions=8, check_every=40, problems=256, starts=1)

SCALES, RIDGES, KERNELS = (0.05, 0.15, 0.4, 1.0, 3.0), (1e-4, 1e-2, 1e-1), ("squared", "absolute")
"""Hyper-parameters of the generated table."""

TEXT = """world tables is black_box(function: table, data: {data}{family}, dimensions: {dimensions}, \
configurations: {configurations}, steps: 20)

program TUNE "Try configurations, the most promising first":
    minimise value over 10 steps
    core "black-box"

task tuned:
    run TUNE
    expect QUERIES == [10]
    train

task others:
    SPLIT = ["test"]
    run TUNE
    expect QUERIES == [10]
    test
"""


def hyper_parameters(run: Run) -> Found:
    """A row learned from data sets of training, tried on others; beside it random orders and the order of the mean."""
    data, family = table(run)
    world = BlackBox("tables", {"function": "table", "data": data, "family": family, "steps": 20})
    assert world.table is not None
    feature_KD, train_NK, test_NK = world.table.rows(torch.device("cpu"))
    text = TEXT.format(
        data=data, family=f", family: {family}" if family else "", dimensions=feature_KD.shape[1],
        configurations=len(feature_KD),
    )  # fmt: skip
    path = run.folder / "tuning.npi"
    write_whole(path, text.encode())
    library = Library.open(SHIPPED)
    before = library.core.digest()
    assert isinstance(run.effort.training, BlackBoxTraining)
    run.learn(library, [load(path)], run.effort.training)
    count = len(test_NK)
    mine_TB = searched(library, row_of(library, "tuning.TUNE"), world, count, EVALUATIONS, 1)
    none_TB = searched(library, torch.zeros_like(library.memory.embeddings_NP[0]), world, count, EVALUATIONS, 1)
    random_TB = by_random_orders(test_NK, run.seed)
    mean_TB = test_NK[:, train_NK.mean(0).argsort()[:EVALUATIONS]].T.cummin(0).values
    curves = {"row": mine_TB, "random": random_TB, "best on average": mean_TB, "no row": none_TB}
    same = "bit-identical before and after" if library.core.digest() == before else "CHANGED"
    source = "a table that was generated here" if data == GENERATED else f"the file bound to {data}"
    sizes = f"{len(train_NK)} data sets to learn from, {count} others; {len(feature_KD)} configurations"
    return Found(
        paired(mine_TB.mean(0), random_TB.mean(0), higher=False),
        beside={name: float(one_TB.mean()) for name, one_TB in list(curves.items())[2:]},
        facts={"data": f"{source}; {sizes}", "core": same},
        picture=Picture("evaluations", "least error so far", {
            name: [[*range(1, 1 + EVALUATIONS)], one_TB.double().mean(1).tolist()] for name, one_TB in curves.items()
        }),
    )  # fmt: skip


def by_random_orders(error_NK: torch.Tensor, seed: int, orders: int = 200) -> torch.Tensor:
    """best_TN: of each data set the mean over random orders."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.zeros(EVALUATIONS, len(error_NK))
    for _ in range(orders):
        order = torch.randperm(error_NK.shape[1], generator=generator)[:EVALUATIONS]
        found += error_NK[:, order].T.cummin(0).values / orders
    return found


def table(run: Run) -> tuple[str, str]:
    """The name of the data and the family: those of a bound file, or of a table that is generated."""
    if DATA in bound():
        described = json.loads((Path(bound()[DATA]).parent / CONFIGURATIONS).read_text(encoding="utf-8"))
        return DATA, FAMILY if any(one.get("algorithm") == FAMILY for one in described) else ""
    path = run.folder / f"{GENERATED}.npz"
    if not path.exists():
        error_NK, settings = ridge_errors(run.effort.more["data sets"], run.seed)
        run.folder.mkdir(parents=True, exist_ok=True)
        described = [{"algorithm": "ridge", "hyperparameters": one} for one in settings]
        write_whole(run.folder / CONFIGURATIONS, json.dumps(described).encode())
        content = io.BytesIO()
        np.savez(content, error=error_NK)
        write_whole(path, content.getvalue())
    bind(f"{GENERATED}={path}")
    return GENERATED, ""


def ridge_errors(count: int, seed: int) -> tuple[np.ndarray, list[dict[str, object]]]:
    """error_NK of kernel ridge regression with each of K hyper-parameters on generated data sets of one input.

    A data set is a sum of sines of its own frequency with noise of its own, at 10 to 40 places to learn from; the error
    is the mean squared one at 50 others.
    """
    settings: list[dict[str, object]] = [
        {"scale": scale, "ridge": ridge, "kernel": kernel} for scale in SCALES for ridge in RIDGES for kernel in KERNELS
    ]
    draw, found = np.random.default_rng([seed, 27]), np.zeros((count, len(settings)))
    for number in range(count):
        size, noise = int(draw.integers(10, 41)), 10 ** draw.uniform(-2, 0)
        frequency_3 = 10 ** draw.uniform(0, 1.3) * draw.uniform(0.5, 1, 3)
        weight_3, phase_3 = draw.normal(size=3), draw.uniform(0, 2 * np.pi, 3)
        x_L = draw.uniform(0, 1, size + 50)
        y_L = (weight_3 * np.sin(frequency_3 * x_L[:, None] + phase_3)).sum(1) + noise * draw.normal(size=size + 50)
        far_LM = np.abs(x_L[:, None] - x_L[:size])
        for place, one in enumerate(settings):
            share_LM = far_LM / float(one["scale"])  # type: ignore[arg-type]
            kernel_LM = np.exp(-(share_LM**2) / 2) if one["kernel"] == "squared" else np.exp(-share_LM)
            inner_MM = kernel_LM[:size] + float(one["ridge"]) * np.eye(size)  # type: ignore[arg-type]
            said_L = kernel_LM[size:] @ np.linalg.solve(inner_MM, y_L[:size])
            found[number, place] = float(((said_L - y_L[size:]) ** 2).mean())
    return found, settings


SAMPLES = Row(
    key="neural-bo",
    title="Neural Bayesian optimisation",
    claim="Neural Bayesian optimization",
    paper="beside Spearmint up to 6 dimensions, ahead of TPE and SMAC (curves, no table; Chen et al. 2017)",
    score=f"least value of {QUERIES} queries of samples of Gaussian processes in three dimensions",
    control="random queries of the same functions",
    run=samples,
    quick=Effort(problems=100),
    full=Effort(problems=1000),
)

TABLES = Row(
    key="hyper-parameters",
    title="Transfer to hyper-parameters",
    claim="Transfer to hyper-parameter optimization in ML",
    paper="beside Spearmint, SMAC and TPE on three models (curves, no table; Chen et al. 2017)",
    score=f"least error of 1 to {EVALUATIONS} configurations on new data sets, mean (0 the best, 1 the worst)",
    control="configurations in random order, on the same data sets (--data tables=FILE.npz brings real ones)",
    run=hyper_parameters,
    quick=Effort(replace(LEARNING, updates=40), more={"data sets": 800}),
    full=Effort(LEARNING, more={"data sets": 2000}),
)
