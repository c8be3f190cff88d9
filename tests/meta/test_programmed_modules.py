"""Networks that program other networks: rows that set the connections of one core side by side, as each does alone.

A row is connection information (McClelland 1985): one core, two modules, a program in each, in one batch.
"""

from __future__ import annotations

import pytest
import torch

from envs.episodic.bandit import Bandit
from envs.images.sines import Sines
from envs.images.world import Images
from envs.objectives.world import Optimisee
from envs.spec import SLOTS, WorldSpec
from envs.stepper import Ragged
from npi.learners.interface import LearnerCore, TaskInput, learner_of
from npi.learners.kind import random_observation

WORLDS = {
    "few-shot": Images("cards", {"ways": 3, "pixels": 16}).spec,
    "memory": Images("cards", {"ways": 3, "pixels": 16, "shots": 0, "told": "yes"}).spec,
    "regression": Sines("waves", {}).spec,
    "meta-rl": Bandit("arms", {}).spec,
    "optimiser": Optimisee("slopes", {}).spec,
}
"""A world for each kind of learner."""

SMALL = {"few-shot": {"channels": 8}, "memory": {"channels": 8}, "meta-rl": {}, "optimiser": {}, "regression": {}}

CONVOLUTIONS = ("few-shot", "memory")
"""Cores that sum over so many numbers that float32 is not good to 1e-6."""


@pytest.mark.parametrize("kind", WORLDS)
def test_two_rows_in_one_batch_do_what_each_does_alone(kind: str) -> None:
    """Bit for bit in a batch of the same shape; in one of another, whose sums have another order, to 1e-6.

    Red where a row reaches its neighbour.
    """
    spec, learner = WORLDS[kind], learner_of(kind)
    generator = torch.Generator().manual_seed(0)
    core = learner.core(learner.config(**SMALL[kind]), [spec], generator=generator)
    row_2P = torch.randn(2, core.config.row, generator=generator)
    both = outputs(core, spec, row_2P[[0, 1, 0, 1]])
    assert set(both) >= {"hidden"}
    for program in (0, 1):
        alike = outputs(core, spec, row_2P[[program] * 4])
        for name, value in both.items():
            assert torch.equal(value[program], alike[name][program]), name
    other = outputs(core, spec, row_2P[[1, 1, 1, 1]])
    assert any(not torch.equal(both[name][0], other[name][0]) for name in both), "the row programs something"
    if kind in CONVOLUTIONS:
        core, row_2P = core.double(), row_2P.double()
        both = outputs(core, spec, row_2P[[0, 1, 0, 1]])
    for program in (0, 1):
        alone = outputs(core, spec, row_2P[[program]], only=program)
        for name, value in both.items():
            assert torch.allclose(value[program], alone[name][0], atol=1e-6, rtol=1e-6), name


@torch.no_grad()
def outputs(
    core: LearnerCore, spec: WorldSpec, row_BP: torch.Tensor, only: int | None = None
) -> dict[str, torch.Tensor]:
    """What a step comes to in four configurations, or in one of them, by name."""
    generator = torch.Generator().manual_seed(1)
    seen = random_observation(spec, generator, torch.device("cpu"))
    count = len(seen.fields_BF)
    index = torch.arange(4) if only is None else torch.tensor([only])
    seen = seen.select(index)
    seen = seen._replace(channels={name: typed(held, row_BP.dtype) for name, held in seen.channels.items()})
    task = TaskInput(spec, 0, row_BP, torch.zeros(len(index), SLOTS, dtype=torch.int64))
    noise_BH = torch.rand(count, core.hidden_size(spec), generator=generator)[index]
    hidden_BH = (core.begin(task, seen) + noise_BH).to(row_BP.dtype)
    step = core.step(task, seen, hidden_BH)
    found = {"hidden": step.hidden_BH, "payload": step.action.payload_BX, **step.extras}
    return {name: value for name, value in found.items() if value is not None and value.is_floating_point()}


def typed(held: torch.Tensor | Ragged, dtype: torch.dtype) -> torch.Tensor | Ragged:
    """A channel in numbers of this type."""
    return Ragged(held.padded_BLX.to(dtype), held.lengths_B) if isinstance(held, Ragged) else held.to(dtype)
