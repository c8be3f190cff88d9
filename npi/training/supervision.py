"""What the objectives of frames have in common: how frames become losses, and how it is seen which are wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

from npi.core.config import TrainConfig
from npi.core.recurrent import RecurrentCore
from npi.program_memory import ProgramMemory
from npi.training.curriculum import WorldFrames, WorldSteps
from npi.training.loop import Loss, Schedule, State
from npi.training.loss import Rules
from npi.training.ranks import Ranks

FIRST = 1024
"""Frames, or steps, of a program that are looked at before all are."""


class Supervision(ABC):
    """Frames as losses: whole (:class:`~npi.training.unrolled.UnrolledFrames`), or step by step with the state forced
    (:class:`~npi.training.forced.ForcedStates`).

    Args:
        rules: which rows may be called.
        config: of sampling, noise and precision.

    Attributes:
        errors: the running share of wrong frames, or steps, of each row.
        steps: where these are learned by themselves, how many different ones, and how many in all, each row has.
    """

    errors: dict[int, float]
    steps: dict[int, tuple[int, int]]

    def __init__(self, core: RecurrentCore, memory: ProgramMemory, rules: Rules, config: TrainConfig) -> None:
        self.core, self.memory, self.rules, self.config = core, memory, rules, config
        self.steps = {}

    @property
    def schedule(self) -> Schedule:
        """How long and how fast, by the settings."""
        config = self.config
        return Schedule(config.updates, config.check_every, lambda update: learning_rate_share(config, update))

    @abstractmethod
    def use(self, sources: Sequence[WorldFrames], steps: Sequence[WorldSteps] = ()) -> None:
        """Learn from these frames, and steps beside them, from now on, knowing of each row how often it was wrong."""

    @abstractmethod
    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        """One loss an update; what was wrong changes what is drawn next."""

    @abstractmethod
    def check(self, ranks: Ranks) -> tuple[dict[int, int], bool]:
        """How many frames, or steps, are wrong by row, and whether no more are than may be.

        At most :data:`FIRST` of a program are looked at; all of them where these are right.
        """

    @abstractmethod
    def state_dict(self) -> State:
        """What the next update depends on beside parameters and frames."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """The inverse of :meth:`state_dict`, with the same frames in use."""


def learning_rate_share(config: TrainConfig, update: int) -> float:
    """Of the peak: warm-up, then cycles of ``decay`` updates that each fall linearly to 5 %."""
    warm = min(1.0, (update + 1) / max(1, config.warmup))
    return warm * max(0.05, 1 - (update % config.decay) / config.decay)
