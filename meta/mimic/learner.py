"""MetaMimic (Le Paine et al. 2018): high-fidelity imitation of demonstrations without acts, and a task learned from the
same replay memory. The core is in :mod:`meta.mimic.network`.

Shape legend: ``T`` steps, ``B`` problems, ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from envs.control.puzzle_box_settings import BOX, DEMONSTRATION, HAND, SITES, VELOCITY
from envs.spec import WorldSpec
from envs.stepper import Ragged
from envs.world import Episodes, World
from meta.mimic.network import KIND, MimicConfig, MimicCore
from meta.mimic.objective import LIKENESS, REWARD, MimicReplay, MimicTraining
from npi.learners.interface import LearnerTraining
from npi.learners.tasks import Problems


class Mimic:
    """The learner (implements ``npi.learners.interface.Learner``)."""

    kind, signals, anywhere = KIND, (("maximise", LIKENESS), ("maximise", REWARD)), True
    config = MimicConfig
    training = MimicTraining(
        updates=300, batch=32, rate=2e-3, row_rate=3e-3, clip=1.0, check_every=10, problems=64,
        optimizer_steps=192, sample=128, shards=30, returns=3, tracking=0.01,
    )  # fmt: skip
    learning = MimicTraining(
        updates=100, batch=32, row_rate=3e-3, check_every=50, problems=128, starts=2,
        optimizer_steps=192, sample=128, shards=30, returns=3, tracking=0.01,
    )  # fmt: skip

    def admit(self, spec: WorldSpec) -> None:
        names = {channel.name for channel in spec.channels}
        missing = [name for name in (HAND, VELOCITY, SITES, BOX, DEMONSTRATION) if name not in names]
        if missing:
            raise ValueError(
                f"world {spec.name} ({spec.kind}) does not show {', '.join(missing)}, which {KIND!r} reads; use a "
                "puzzle_box (envs/control/puzzle_box.py)"
            )

    def core(self, config: MimicConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> MimicCore:
        return MimicCore(config, generator=generator)

    def objective(
        self, core: MimicCore, rows_NP: torch.Tensor, problems: Problems, training: LearnerTraining
    ) -> MimicReplay:
        assert isinstance(training, MimicTraining)
        return MimicReplay(self, core, rows_NP, problems, training)

    def infer_row(self, core: MimicCore, evidence: Episodes) -> None:
        """A demonstration is followed, not made a row of."""

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """Likeness per frame of the demonstration where one is shown, and success; irrelevant steps done, and acts."""
        demonstration = episodes.seen[0].channels[DEMONSTRATION]
        assert isinstance(demonstration, Ragged)
        sums = {name: (score_TB * episodes.live_TB).sum(0) for name, score_TB in episodes.scores.items()}
        frames_B = (demonstration.lengths_B - 1).clamp(min=1)
        likeness = {LIKENESS: sums[LIKENESS] / frames_B} if bool((demonstration.lengths_B > 0).any()) else {}
        return likeness | {REWARD: sums[REWARD], "irrelevant": sums["irrelevant"], "steps": sums["steps"]}


LEARNER = Mimic()
"""What the engine finds by its entry point."""
