"""The learner of one-shot imitation (Duan et al. 2017): cloning, and rows that are demonstrations.

Shape legend: ``B`` instances, ``L`` moments, ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from envs.control.demonstrations import DEMONSTRATION, of_episodes, packed, sizes_of, unpacked
from envs.spec import WorldSpec
from envs.stepper import Observation, Ragged
from envs.world import Episodes, World
from meta.imitation.encoder import thinned
from meta.imitation.following import FollowingCore, check_followed
from meta.imitation.network import ALONG, KIND, RECURRENT, ImitationConfig, ImitationCore, sizes_of_all
from meta.imitation.recurrent import RecurrentCore, most_objects
from npi.learners.objectives.imitation import Cloning, CloningTraining
from npi.learners.tasks import Problems

Core = ImitationCore | FollowingCore | RecurrentCore

DEMONSTRATION_SIGNAL = ("imitate", "demonstration")


@dataclass(frozen=True)
class DemonstrationReading:
    """How demonstrations are read in training (implements ``npi.learners.objectives.imitation.Reading``)."""

    core: Core
    training: CloningTraining

    def vary(self, given: Observation, generator: torch.Generator) -> Observation:
        """Some moments are left out, and of some demonstrations the actions."""
        held = given.channels.get(DEMONSTRATION)
        if not isinstance(held, Ragged):
            return given
        shown, (B, L) = unpacked(held, self.core.sizes), held.padded_BLX.shape[:2]
        chance_BL = torch.rand(B, 1 + L, generator=generator, device=generator.device)
        shown = shown.without_actions(chance_BL[:, 0] < self.training.silent)
        shown = thinned(shown, chance_BL[:, 1:] < self.training.kept)
        return Observation(given.fields_BF, {**given.channels, DEMONSTRATION: packed(shown)})

    def rows(self, given: Observation) -> torch.Tensor | None:
        return self.core.inferred(self.core.read(given)) if DEMONSTRATION in given.channels else None


class OneShotImitation:
    """The learner (implements ``npi.learners.interface.Learner``); see the head of this file."""

    kind, anywhere = KIND, False
    signals = (DEMONSTRATION_SIGNAL, ("maximise", "success"), ("minimise", "error"))
    config = ImitationConfig
    training = CloningTraining(updates=1000, batch=32, rate=3e-3, row_rate=3e-3, check_every=200, problems=200)
    learning = CloningTraining(
        updates=50, batch=32, row_rate=3e-3, check_every=50, problems=200, starts=2, inferred=0.0
    )

    def admit(self, spec: WorldSpec) -> None:
        """A world with a body that a payload moves (:mod:`envs.control.demonstrations`)."""
        sizes_of(spec)

    def core(self, config: ImitationConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> Core:
        sizes = sizes_of_all(specs)
        if config.reads == RECURRENT:
            return RecurrentCore(config, sizes, most_objects(specs, sizes), generator=generator)
        if config.reads == ALONG:
            check_followed(sizes)
            return FollowingCore(config, sizes, generator=generator)
        return ImitationCore(config, sizes, generator=generator)

    def objective(self, core: Core, rows_NP: torch.Tensor, problems: Problems, training: CloningTraining) -> Cloning:
        """Cloning of the world's demonstrator, by demonstrations that are observed and by rows alone."""
        return Cloning(self, core, rows_NP, problems, training, DemonstrationReading(core, training))

    def infer_row(self, core: Core, evidence: Episodes) -> torch.Tensor:
        """row_BP: what each of the episodes shows, as a row."""
        return core.inferred(of_episodes(evidence, core.sizes))

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The scores of the last step of each."""
        steps_TB = torch.arange(episodes.steps, device=episodes.live_TB.device)[:, None]
        last_1B = (steps_TB * episodes.live_TB).amax(0, keepdim=True)
        return {name: score_TB.gather(0, last_1B)[0] for name, score_TB in episodes.scores.items()}


LEARNER = OneShotImitation()
