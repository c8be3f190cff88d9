"""Sine waves from ten points, one step on a row of five numbers, beside CAVIA in the same run.

    python -m benchmarks.learners.sines            # five seeds
    python -m benchmarks.learners.sines --table    # only write the page

Results lie under ``runs/sines-*``, a file a seed; a run that was stopped resumes.

Shape legend: ``B`` waves, ``L`` points, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn
from torch.nn.utils import clip_grad_value_

from benchmarks.common import arguments, each_seed, results, seeds, write
from benchmarks.learners.descent import descend
from meta.few_shot.regression import RegressionConfig, RegressionCore
from npi.learners import inner
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread

NAME = "sines"


class PublishedAdaptation(nn.Module):
    """CAVIA as published (Zintgraf et al. 2019, section 4.1): two layers of 40, five context parameters that the first
    layer reads beside x, one step of size 1 along the squared error."""

    def __init__(self, row: int = 5, units: int = 40) -> None:
        super().__init__()
        self.row = row
        self.layers = nn.Sequential(
            nn.Linear(1 + row, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1)
        )

    def value(self, x_BL: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
        read_BLX = torch.cat([x_BL[..., None], row_BP[:, None].expand(-1, x_BL.shape[1], -1)], 2)
        found_BL: torch.Tensor = self.layers(read_BLX)[..., 0]
        return found_BL

    def adapted(self, points_BL2: torch.Tensor, *, second_order: bool) -> torch.Tensor:
        x_BL, y_BL = points_BL2.unbind(2)
        return inner.adapt(
            lambda row_BP: (self.value(x_BL, row_BP) - y_BL).square().mean(1),
            torch.zeros(len(x_BL), self.row), 1, 1.0, second_order=second_order,
        )  # fmt: skip


class OurAdaptation(nn.Module):
    """The core of the learner ``regression``, and the row that episodes begin with."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.core = RegressionCore(RegressionConfig(), generator=torch.Generator().manual_seed(seed))
        self.row_P = nn.Parameter(torch.zeros(self.core.config.row))

    def value(self, x_BL: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
        return self.core(x_BL, row_BP)[0]

    def adapted(self, points_BL2: torch.Tensor, *, second_order: bool) -> torch.Tensor:
        return self.core.adapted(points_BL2, self.row_P.expand(len(points_BL2), -1), second_order=second_order)


def wave_points(batch: int, points: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """point_BL2 of waves to adapt to, and so many others to be judged by (Finn et al. 2017, section 5.1)."""
    amplitude_B1 = 0.1 + 4.9 * torch.rand(batch, 1, generator=generator)
    phase_B1 = math.pi * torch.rand(batch, 1, generator=generator)
    x_BL = 10 * torch.rand(batch, 10 + points, generator=generator) - 5
    point_BL2 = torch.stack([x_BL, amplitude_B1 * torch.sin(x_BL - phase_B1)], 2)
    return point_BL2[:, :10], point_BL2[:, 10:]


NETWORKS: dict[str, tuple[float, int, int]] = {
    "CAVIA as published, 25 waves a batch": (1e-3, 25, 13_000),
    "CAVIA, 100 waves a batch, three times the rate": (3e-3, 100, 8_400),
    "`regression`": (3e-3, 100, 3_900),
}
"""Peak rate, waves of a batch and updates of each; all take about equal time."""


def run(name: str, seed: int) -> Result:
    """Train a network; its mean squared error on fresh waves after one step from ten points."""
    rate, batch, updates = NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = PublishedAdaptation() if "CAVIA" in name else OurAdaptation(seed)
    generator, parameters = torch.Generator().manual_seed(seed), [*net.parameters()]

    def loss() -> torch.Tensor:
        given_BL2, asked_BL2 = wave_points(batch, 10, generator)
        row_BP = net.adapted(given_BL2, second_order=True)
        return (net.value(asked_BL2[..., 0], row_BP) - asked_BL2[..., 1]).square().mean()

    seconds = descend([(parameters, rate)], loss, updates=updates, clip=partial(clip_grad_value_, parameters, 10.0))
    given_BL2, asked_BL2 = wave_points(4000, 100, torch.Generator().manual_seed(99))
    row_BP = net.adapted(given_BL2, second_order=False)
    with torch.no_grad():
        found = (net.value(asked_BL2[..., 0], row_BP) - asked_BL2[..., 1]).square().mean()
    return {"CPU seconds": seconds, "parameters": sum(p.numel() for p in parameters), "error": float(found)}


def contents(done: Mapping[str, Sequence[Result]]) -> Mapping[str, Content | bytes]:
    """What the page says."""
    lines = [
        [name, seeds(each), f"{each[0]['parameters']:,}", f"{NETWORKS[name][2]:,}",
         f"{statistics.median(r['CPU seconds'] for r in each):.0f}", spread([r["error"] for r in each], 3)]
        for name, each in done.items()
    ]  # fmt: skip
    return {"waves": [["", "seeds", "parameters", "updates", "CPU s", "mean squared error"], *lines]}


def main() -> None:
    options = arguments(__doc__).parse_args()
    folders = {name: f"{NAME}-{number}" for number, name in enumerate(NETWORKS)}
    for name, folder in folders.items():
        if not options.table:
            each_seed(folder, options.seeds, partial(run, name), network=name, updates=NETWORKS[name][2])
    done = {name: results(folder) for name, folder in folders.items()}
    write(NAME, contents(done), [r for each in done.values() for r in each])


if __name__ == "__main__":
    main()
