"""Results of hyper-parameters on other data sets as rows, beside the opponents that know the same tables.

    python -m benchmarks.learners.table_transfer --data tables.npz              # five seeds, some minutes a family
    python -m benchmarks.learners.table_transfer --data tables.npz --seeds 0    # one

The file is one of results (``docs/learning.md#black-boxes``), with the families :data:`FAMILIES`. The core is the one
that comes with the engine: no table was used in making it, so that every family is new to it. A row is learned from the
data sets of training; all are judged on those that are kept for tests, each once. Stages lie under
``runs/table-transfer``.

Shape legend: ``N`` data sets, ``K`` configurations, ``T`` evaluations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch

from benchmarks.common import RUNS, finished, plain_arguments, results, seeds, write
from benchmarks.learners.cores import written
from benchmarks.learners.shipped_searcher import begun
from dsl import load
from envs.black_box.tables import Table
from envs.black_box.world import BlackBox
from envs.images.bindings import VARIABLE
from meta.black_box.ask_tell import SHIPPED
from meta.black_box.choices import SMALLEST_VARIANCE
from meta.black_box.learner import BlackBoxTraining
from meta.black_box.posterior import Belief, log_expected_improvement
from meta.black_box.program_files import text
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.learn_rows import learn_rows
from npi.learners.rollout import play
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows

NAME = "table-transfer"

DATA = "tuning"

FAMILIES = {"kSVM": "kSVM", "Logit": "Logit", "GBT": "GBT", "RF": "RF", "all": ""}
"""Families of models, and "all" configurations of the file."""

EVALUATIONS = (1, 3, 5, 10)

LEARNING = BlackBoxTraining(updates=80, batch=96, directions=8, check_every=40, problems=256, starts=1)

RANDOM_ORDERS = 1000

NOISES, SHRINKING = (1e-4, 1e-3, 1e-2), (0.0, 0.1)
"""What the Gaussian process with a learned covariance is tried with, on the data sets of training."""


@dataclass(frozen=True)
class Family:
    """train_NK and test_NK: errors, 0 the best of a data set and 1 its worst; feature_KD."""

    name: str
    feature_KD: torch.Tensor
    train_NK: torch.Tensor
    test_NK: torch.Tensor

    @classmethod
    def of(cls, name: str) -> Family:
        return cls(name, *Table(DATA, FAMILIES[name]).rows(torch.device("cpu")))


def after(best_NT: torch.Tensor) -> list[float]:
    """The mean of the best error after each of :data:`EVALUATIONS`."""
    return [float(best_NT[:, count - 1].mean()) for count in EVALUATIONS]


# --- opponents -------------------------------------------------------------------------------------------------------


def ordered(error_NK: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """best_NT of trying configurations in this order."""
    return error_NK[:, list(order)].cummin(1).values


def random_order(family: Family) -> list[float]:
    generator, count = np.random.default_rng(0), family.test_NK.shape[1]
    orders = [generator.permutation(count)[: EVALUATIONS[-1]].tolist() for _ in range(RANDOM_ORDERS)]
    found = np.array([after(ordered(family.test_NK, order)) for order in orders])
    return list(map(float, found.mean(0)))


def portfolio(error_NK: torch.Tensor) -> list[int]:
    """Each configuration is the one that helps most beside those before it (Wistuba et al. 2015)."""
    best_N, order = torch.full((len(error_NK),), torch.inf), list[int]()
    for _ in range(EVALUATIONS[-1]):
        mean_K = torch.minimum(best_N[:, None], error_NK).mean(0)
        mean_K[order] = torch.inf
        order.append(int(mean_K.argmin()))
        best_N = torch.minimum(best_N, error_NK[:, order[-1]])
    return order


def learned_covariance(family: Family) -> list[float]:
    """A Gaussian process whose mean and covariance of all configurations are those of the data sets of training
    (Swersky et al. 2013), with expected improvement; noise and shrinking are what is best there."""
    mean_K, covariance_KK = family.train_NK.mean(0), torch.cov(family.train_NK.T)
    tried = list[tuple[float, list[float]]]()
    for share in SHRINKING:
        shrunk_KK = (1 - share) * covariance_KK + share * torch.diag(covariance_KK.diagonal())
        for noise in NOISES:
            process = partial(by_process, mean_K, shrunk_KK, noise)
            tried.append((fmean(after(process(family.train_NK))), after(process(family.test_NK))))
    return min(tried)[1]


def by_process(mean_K: torch.Tensor, covariance_KK: torch.Tensor, noise: float, error_NK: torch.Tensor) -> torch.Tensor:
    """best_NT; the first configuration is the one of the least mean."""
    index_NT, best_NT = mean_K.argmin().expand(len(error_NK), 1), list[torch.Tensor]()
    for count in range(1, EVALUATIONS[-1] + 1):
        seen_NT = error_NK.gather(1, index_NT)
        best_NT.append(seen_NT.amin(1))
        cross_NTK = covariance_KK[index_NT]
        inner_NTT = cross_NTK.gather(2, index_NT[:, None].expand(-1, count, -1)) + noise * torch.eye(count)
        rest_NT1 = (seen_NT - mean_K[index_NT])[:, :, None]
        solved = torch.linalg.solve(inner_NTT, torch.cat([rest_NT1, cross_NTK], 2))
        mean_NK = mean_K + (cross_NTK * solved[:, :, :1]).sum(1)
        variance_NK = covariance_KK.diagonal() - (cross_NTK * solved[:, :, 1:]).sum(1)
        belief = Belief(mean_NK, variance_NK.clamp(min=SMALLEST_VARIANCE).sqrt())
        gain_NK = log_expected_improvement(belief, best_NT[-1]).scatter(1, index_NT, -torch.inf)
        index_NT = torch.cat([index_NT, gain_NK.argmax(1, keepdim=True)], 1)
    return torch.stack(best_NT, 1)


def opponents(name: str) -> Result:
    family = Family.of(name)
    return {
        "random": random_order(family),
        "best on average": after(ordered(family.test_NK, family.train_NK.mean(0).argsort().tolist())),
        "greedy portfolio": after(ordered(family.test_NK, portfolio(family.train_NK))),
        "GP, learned covariance": learned_covariance(family),
        "configurations": len(family.feature_KD), "data sets": [len(family.train_NK), len(family.test_NK)],
    }  # fmt: skip


# --- rows ------------------------------------------------------------------------------------------------------------


def by_row(library: Library, row_P: torch.Tensor, family: Family, order: Sequence[int] | None = None) -> list[float]:
    """A row beside the library's core, on each data set for tests once.

    Args:
        order: of the configurations' features; None: their own.
    """
    world = BlackBox("tables", {"function": "table", "data": DATA, "family": FAMILIES[family.name], "steps": 20})
    assert world.table is not None
    if order is not None:
        given = world.table.rows(torch.device("cpu"))
        world.table._rows[torch.device("cpu")] = given._replace(feature_KD=given.feature_KD[list(order)])
    count = len(family.test_NK)
    state = world.begin(torch.arange(count), torch.ones(count, dtype=torch.int64))
    task = TaskInput(world.spec, 0, row_P.expand(count, -1), torch.zeros(count, 3, dtype=torch.int64))
    episodes = play(learner_program_core(library.core).net, world, state, task, EVALUATIONS[-1])
    return after(episodes.scores["value"].T.cummin(1).values)


def learned(name: str, seed: int) -> Result:
    """A row of a family beside the frozen core."""
    kind, library = FAMILIES[name], begun(RUNS / NAME / "files", 0)
    assert library.core.digest() == Library.open(SHIPPED).core.digest()
    told = {"function": "table", "data": DATA} | ({"family": kind} if kind else {})
    path = written(RUNS / NAME / "files" / f"{name}.npi", text(name, steps=EVALUATIONS[-1], **told))
    result = learn_rows(library, [load(path)], replace(LEARNING, seed=seed))
    assert result.unchanged
    row_P = library.memory.embeddings_NP[library.memory.index(f"{name}.SEARCH")]
    return {"row": row_P.tolist(), "seconds": result.seconds}


def judged(seed: int, found: Mapping[str, Result]) -> Result:
    """Regrets by the rows of all families of a seed, and by controls."""
    library, regrets = Library.open(SHIPPED), dict[str, Result]()
    rows = {name: torch.tensor(result["row"]) for name, result in found.items()}
    for name, row_P in rows.items():
        family = Family.of(name)
        others_NP = torch.stack([other_P for other, other_P in rows.items() if other != name])
        order = np.random.default_rng(seed).permutation(len(family.feature_KD)).tolist()
        regrets[name] = {
            "row": by_row(library, row_P, family),
            "no row": by_row(library, torch.zeros_like(row_P), family),
            "mean of the other rows": by_row(library, others_NP.mean(0), family),
            "row, configurations permuted": by_row(library, row_P, family, order),
        }
        print(f"  {name} {regrets[name]}", flush=True)
    return regrets


KINDS = ("row", "no row", "mean of the other rows", "row, configurations permuted")


def table(done: Sequence[Result], others: Mapping[str, Result]) -> Rows:
    """Mean normalised regret; of rows the median of the seeds, and least and most where there are several."""
    found: Rows = [["family", "configurations", "searcher", *map(str, EVALUATIONS)]]
    for name, told in others.items():
        for kind in ("random", "best on average", "greedy portfolio", "GP, learned covariance"):
            found.append([name, told["configurations"], kind, *(f"{value:.3f}" for value in told[kind])])
        for kind in KINDS:
            cells = [_spread([result[name][kind][place] for result in done]) for place in range(len(EVALUATIONS))]
            found.append([name, told["configurations"], f"**{kind}**" if kind == "row" else kind, *cells])
    return found


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--data", type=Path, required=True, help="a file of results, .npz")
    options = parser.parse_args()
    os.environ[VARIABLE] = json.dumps({DATA: str(options.data.resolve())})
    others = {name: finished(f"{NAME}-opponents/{name}", partial(opponents, name)) for name in FAMILIES}
    rows = dict[int, dict[str, Result]]()
    for seed in options.seeds:
        rows[seed] = {
            name: finished(
                f"{NAME}-rows/{name}-{seed}", partial(learned, name, seed), seed=seed, learning=LEARNING.to_json()
            )
            for name in FAMILIES
        }
        finished(f"{NAME}/{seed}", partial(judged, seed, rows[seed]), seed=seed)
    done = results(NAME)
    every = [result["seconds"] for found in rows.values() for result in found.values()]
    write(
        NAME,
        {
            "regret": table(done, others), "seeds": seeds(done), "parameters": "32",
            "seconds": f"{median(every):.0f} ({min(every):.0f} to {max(every):.0f})",
            "sets": ", ".join(f"{name} {' and '.join(map(str, told['data sets']))}" for name, told in others.items()),
        },
        done,
    )  # fmt: skip


if __name__ == "__main__":
    main()
