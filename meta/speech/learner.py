"""Learning to speak (van den Oord et al. 2016; Kalchbrenner et al. 2018), a voice a row (Chen et al. 2018, SEA-EMB).

Both learners maximise the likelihood of recordings; in a share of the batches the row of each episode is inferred from
another stretch of the same voice (SEA-ENC), so that the encoder is learned beside the rows.

Shape legend: ``B`` episodes, ``T`` samples, ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import torch

from envs.episodic.trials import EPISODE, MAX_DIGITS, digits, episode_number
from envs.spec import WorldSpec
from envs.speech.audio import Sound, decode
from envs.speech.world import KIND
from envs.world import Episodes, Layout, World
from meta.speech.core import SpeechCore, says_words
from meta.speech.wavenet import WaveNet, WaveNetConfig
from meta.speech.wavernn import WaveRNN, WaveRNNConfig
from npi.core.config import setting, share
from npi.learners.interface import LearnerTraining
from npi.learners.objectives.base import EXPLORATION, LearnerObjective
from npi.learners.objectives.likelihood import EVIDENCE, demonstrated, negative_log_likelihood
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss
from npi.training.ranks import Ranks

INFERRED = 6
"""What random numbers are for, as a part of seeds: whether a batch has rows that are inferred."""


@dataclass(frozen=True)
class SpeechTraining(LearnerTraining):
    """How cores that speak are trained.

    Attributes:
        inferred: the share of batches whose rows are inferred from recordings in place of the programs' own.
    """

    inferred: float = setting(0.2, share())


class Recordings(LearnerObjective):
    """The mean log-likelihood of the samples of recordings."""

    training: SpeechTraining

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        batch = self.batch(group, number, ranks)
        episodes = demonstrated(self, group, batch, EXPLORATION, number)
        row_BP = self.rows_of(group, batch, number)
        if self.training.inferred and self.seed(INFERRED, number) / 2**63 < self.training.inferred:
            row_BP = self.inferred_rows(group, batch, number)
        yield (Loss(batch.weight * negative_log_likelihood(self.core, group.input(batch, row_BP), episodes)),)

    def inferred_rows(self, group: TaskGroup, batch: Batch, number: int) -> torch.Tensor:
        """row_BP, from other stretches of the same voices."""
        other = Batch(**{**vars(batch), "layouts": [elsewhere(layout) for layout in batch.layouts]})
        return self.learner.infer_row(self.core, demonstrated(self, group, other, EVIDENCE, number))  # type: ignore[return-value]


def elsewhere(layout: Layout) -> Layout:
    """The same voice, and another episode."""
    return {**layout, EPISODE.name: digits((7 * episode_number(0, layout) + 1) % 10 ** (MAX_DIGITS - 1))}


class Speaking:
    """What both learners share (with which they implement ``npi.learners.interface.Learner`` and ``Predicting``)."""

    signals, anywhere = (("minimise", "bits"),), True
    predicts: Literal[True] = True
    training = SpeechTraining(updates=1200, batch=8, rate=3e-3, row_rate=1e-2, check_every=200, problems=8, clip=1.0)
    learning = SpeechTraining(
        updates=120, batch=4, row_rate=3e-2, check_every=60, problems=8, starts=2, clip=10.0, inferred=0.0
    )

    def admit(self, spec: WorldSpec) -> None:
        if spec.kind != KIND and not says_words(spec):
            raise ValueError(
                f"world {spec.name} ({spec.kind}) has no recordings to predict sample by sample, and no words to say; "
                "declare one such as speech(data: voices), or utterances(words: digits)"
            )

    def objective(
        self, core: SpeechCore, rows_NP: torch.Tensor, problems: Problems, training: SpeechTraining
    ) -> Recordings:
        said = [task.name for task in problems.tasks if says_words(task.world.spec)]
        if said:
            raise ValueError(
                f"{', '.join(said)}: there are no recordings of words, so there is nothing to learn from; take the row "
                "of a voice as it is: npi learn FILE --library DIR --row voices.FIRST"
            )
        return Recordings(self, core, rows_NP, problems, training)  # type: ignore[arg-type]

    def infer_row(self, core: SpeechCore, evidence: Episodes) -> torch.Tensor:
        """From a recording (SEA-ENC)."""
        return core.inferred(evidence)

    def say(
        self, core: SpeechCore, frame_LF: torch.Tensor, row_P: torch.Tensor, *, seed: int = 0, temperature: float = 1.0
    ) -> Sound:
        """Sound of some frames, in machine code (implements ``npi.learners.speaking.Voiced``)."""
        from meta.speech.sampling import speak  # numba takes a second to load

        spoken = speak(core, frame_LF, row_P, seed=seed, temperature=temperature)
        return Sound(decode(spoken.code_T), core.config.sampling_rate)

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """Bits a sample."""
        live_TB = episodes.live_TB
        log_TB = episodes.extras.get("log_likelihood")
        bits_TB = episodes.scores["bits"] if log_TB is None else -log_TB / math.log(2)
        return {"bits": (bits_TB * live_TB).sum(0) / live_TB.sum(0).clamp(min=1)}


@final
class WaveNetLearner(Speaking):
    """Dilated convolutions (implements ``npi.learners.interface.Learner``)."""

    kind = "wavenet"
    config = WaveNetConfig

    def core(self, config: WaveNetConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> WaveNet:
        return WaveNet(config, generator=generator)


@final
class WaveRNNLearner(Speaking):
    """A recurrence with a dual softmax (implements ``npi.learners.interface.Learner``)."""

    kind = "wavernn"
    config = WaveRNNConfig

    def core(self, config: WaveRNNConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> WaveRNN:
        return WaveRNN(config, generator=generator)


WAVENET, WAVERNN = WaveNetLearner(), WaveRNNLearner()
"""What the engine finds by entry points."""
