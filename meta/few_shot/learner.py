"""Learning to name pictures from a few examples (Vinyals et al. 2016; Snell et al. 2017; Santoro et al. 2016); the
networks are in :mod:`meta.few_shot.core`.

Both learners maximise the likelihood of the right labels, whatever the core would have said, along episodes whose
pictures are changed at random, every one in its own way (:mod:`meta.few_shot.augmentation`).

Shape legend: ``B`` episodes, ``T`` steps, ``N`` rows or pictures, ``P`` parameters of a row, ``S`` pixels of a side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from envs.spec import WorldSpec
from envs.stepper import Observation, Ragged
from envs.world import Episodes, World
from meta.few_shot.augmentation import Augmentation, augmented
from meta.few_shot.core import (
    LRU,
    PICTURE,
    SUPPORT,
    TOLD,
    FewShotCore,
    GrowingCore,
    LeastRecentlyUsedCore,
    MemoryConfig,
    channel,
    labels,
    ragged,
)
from meta.few_shot.network import FewShotConfig
from npi.core.config import SWITCH, at_least, setting, share
from npi.learners.interface import LearnerTraining
from npi.learners.objectives.base import EXPLORATION, LearnerObjective
from npi.learners.objectives.likelihood import demonstrated, negative_log_likelihood, selected
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

CHANGES = 5
"""What random numbers are for, as a part of seeds: changes of pictures."""

INFERRED = 6
"""The same: whether a batch has rows that are inferred."""

INSTANCES = (1, 2, 5, 10)
"""The times that a class was shown at which memories are judged (Santoro et al. 2016, table 1)."""


@dataclass(frozen=True)
class NamingTraining(LearnerTraining):
    """How cores that name pictures are trained.

    Attributes:
        augment: 1: pictures are changed at random; 0: they are as they were drawn.
        rotation, shear, scale, shift, displacement, stroke: how far (:class:`Augmentation`).
        inferred: the share of batches whose rows are inferred from the support set in place of the program's own.
    """

    augment: int = setting(1, SWITCH)
    rotation: float = setting(12.0, at_least(0))
    shear: float = setting(0.2, at_least(0))
    scale: float = setting(0.2, at_least(0))
    shift: float = setting(0.1, at_least(0))
    displacement: float = setting(0.07, at_least(0))
    stroke: float = setting(0.3, share())
    inferred: float = setting(0.25, share())

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(self.rotation, self.shear, self.scale, self.shift, self.displacement, stroke=self.stroke)


@final
class Naming(LearnerObjective):
    """The mean log-likelihood of the right labels of changed pictures."""

    training: NamingTraining

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        batch = self.batch(group, number, ranks)
        episodes = self.episodes(group, batch, number)
        row_BP = self.rows_of(group, batch, number)
        if self.training.inferred and self.seed(INFERRED, number) / 2**63 < self.training.inferred:
            inferred_BP = self.learner.infer_row(self.core, episodes)
            row_BP = row_BP if inferred_BP is None else inferred_BP
        yield (Loss(batch.weight * negative_log_likelihood(self.core, group.input(batch, row_BP), episodes)),)

    def episodes(self, group: TaskGroup, batch: Batch, number: int) -> Episodes:
        """Of this rank; what is changed at random is drawn for the whole batch, so that ranks draw alike."""
        whole = demonstrated(self, group, replace(batch, weight=1), EXPLORATION, number)
        if self.training.augment:
            generator = torch.Generator(self.device).manual_seed(self.seed(CHANGES, number))
            whole = changed(whole, self.training.augmentation, generator=generator)
        return whole if batch.weight == 1 else selected(whole, batch.index_B)


def changed(episodes: Episodes, augmentation: Augmentation, *, generator: torch.Generator) -> Episodes:
    """Episodes whose pictures, and those of their support sets, are each changed at random."""
    support = dict[str, torch.Tensor | Ragged]()
    if SUPPORT in episodes.seen[0].channels:
        padded_BLSS, length_B = ragged(episodes.seen[0], SUPPORT)
        picture_NSS = augmented(padded_BLSS.flatten(0, 1), augmentation, generator=generator)
        support[SUPPORT] = Ragged(picture_NSS.view_as(padded_BLSS), length_B)
    picture_JBSS = torch.stack([channel(seen, PICTURE) for seen in episodes.seen])
    changed_NSS = augmented(picture_JBSS.flatten(0, 1), augmentation, generator=generator)
    seen = [
        Observation(before.fields_BF, {PICTURE: picture_BSS, **support})
        for before, picture_BSS in zip(episodes.seen, changed_NSS.view_as(picture_JBSS), strict=True)
    ]
    return replace(episodes, seen=seen)


def accuracy(world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
    """The share of right answers."""
    live_TB = episodes.live_TB
    return {"accuracy": (episodes.scores["accuracy"] * live_TB).sum(0) / live_TB.sum(0).clamp(min=1)}


def check_pictures(spec: WorldSpec) -> None:
    """Raise ``ValueError`` for a world that does not show square pictures, each to be named by one argument."""
    picture = {channel.name: channel for channel in spec.channels}.get(PICTURE)
    first = spec.primitives[0]
    square = picture is not None and len(picture.shape) == 2 and picture.shape[0] == picture.shape[1]
    if not square or len(first.slots) != 1 or first.payload is not None:
        raise ValueError(
            f"world {spec.name} ({spec.kind}) does not show square pictures in a channel {PICTURE!r} for its first "
            "primitive to name by one argument; use a world such as images(ways: 20, shots: 1)"
        )


@final
class FewShot:
    """Names pictures by a support set (implements ``npi.learners.interface.Learner``)."""

    kind, signals, anywhere = FewShotConfig.kind, (("maximise", "accuracy"),), True
    config = FewShotConfig
    training = NamingTraining(updates=4000, batch=1, rate=2e-3, row_rate=2e-3, check_every=500, problems=64, clip=10.0)
    learning = NamingTraining(
        updates=100, batch=1, row_rate=2e-2, check_every=50, problems=32, starts=2, clip=10.0, inferred=0.0
    )

    def admit(self, spec: WorldSpec) -> None:
        check_pictures(spec)
        if all(channel.name != SUPPORT for channel in spec.channels):
            raise ValueError(
                f"world {spec.name} ({spec.kind}) shows no support set in a channel {SUPPORT!r}, and cores of "
                f'{self.kind!r} name pictures by one; declare it with shots: 1 or more, or learn with core "memory"'
            )

    def core(self, config: FewShotConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> FewShotCore:
        return FewShotCore(config, generator=generator)

    def objective(
        self, core: FewShotCore, rows_NP: torch.Tensor, problems: Problems, training: NamingTraining
    ) -> Naming:
        return Naming(self, core, rows_NP, problems, training)

    def infer_row(self, core: FewShotCore, evidence: Episodes) -> torch.Tensor:
        """From the support set."""
        return core.inferred(ragged(evidence.seen[0], SUPPORT))

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        return accuracy(world, episodes)


@final
class Memory:
    """Names pictures by what was told along the episode (implements ``npi.learners.interface.Learner``)."""

    kind, signals, anywhere = MemoryConfig.kind, (("maximise", "accuracy"),), False
    config = MemoryConfig
    training = NamingTraining(updates=400, batch=8, rate=2e-3, row_rate=2e-3, check_every=100, problems=64, clip=10.0)
    learning = NamingTraining(updates=50, batch=8, row_rate=2e-2, check_every=50, problems=32, starts=2, clip=10.0)

    def admit(self, spec: WorldSpec) -> None:
        check_pictures(spec)
        if all(field.name != TOLD for field in spec.fields):
            raise ValueError(
                f"world {spec.name} ({spec.kind}) has no field {TOLD} that says the right label of the last picture, "
                f"and cores of {self.kind!r} remember what it says; declare it with told: yes"
            )

    def core(
        self, config: MemoryConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator
    ) -> GrowingCore | LeastRecentlyUsedCore:
        if config.memory == LRU:
            return LeastRecentlyUsedCore(config, labels(specs[0]), generator=generator)
        return GrowingCore(config, generator=generator)

    def objective(
        self, core: GrowingCore | LeastRecentlyUsedCore, rows_NP: torch.Tensor, problems: Problems,
        training: NamingTraining,
    ) -> Naming:  # fmt: skip
        return Naming(self, core, rows_NP, problems, training)

    def infer_row(self, core: GrowingCore | LeastRecentlyUsedCore, evidence: Episodes) -> None:
        """Rows are learned by gradient."""

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The share of right answers, and those at the first, second, fifth and tenth picture of a class."""
        return accuracy(world, episodes) | by_instance(world, episodes)


def by_instance(world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
    """For each of :data:`INSTANCES`, the share of right answers where a class was shown for that time.

    1 where an episode shows no class so often; left out where none does.
    """
    field = world.spec.field(TOLD)
    label_TB = torch.stack([seen.fields_BF[:, field] for seen in episodes.seen[1:]])
    same_TTB = (label_TB[:, None] == label_TB[None]) & episodes.live_TB[:, None] & episodes.live_TB[None]
    time_TB = torch.stack([same_TTB[t, : t + 1].sum(0) for t in range(len(label_TB))])
    found = dict[str, torch.Tensor]()
    for instance in INSTANCES:
        those_TB = (time_TB == instance).to(torch.float32)
        if not those_TB.any():
            continue
        right_B, count_B = (episodes.scores["accuracy"] * those_TB).sum(0), those_TB.sum(0)
        found[f"instance {instance}"] = torch.where(count_B > 0, right_B / count_B.clamp(min=1), 1.0)
    return found


LEARNER, MEMORY = FewShot(), Memory()
"""What the engine finds by entry points."""
