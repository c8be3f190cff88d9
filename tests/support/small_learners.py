"""A small learner for each objective, which trains in seconds in a world of :mod:`tests.support.small_worlds`.

Shape legend: ``B`` instances, ``L`` points of a support set, ``P`` parameters of a row, ``X`` numbers of a payload.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation
from envs.world import Episodes, World
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, LearnerTraining, StepOutput, TaskInput, choice
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.likelihood import Imitation, Supervised
from npi.learners.objectives.replay import Replay, ReplayTraining, ValuedCore
from npi.learners.objectives.search import Search, SearchTraining
from npi.learners.objectives.unrolled import Unrolled, UnrolledTraining
from npi.learners.tasks import Problems

UNITS = 32


@dataclass(frozen=True)
class SmallConfig(LearnerConfig):
    """Of all of them."""

    row: int = 4


def layers(inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Two, with a smooth activation between."""
    one = seeded_linear(inputs, UNITS, generator=generator)
    return nn.Sequential(one, nn.Tanh(), seeded_linear(UNITS, outputs, generator=generator))


def no_arguments(payload_BX: torch.Tensor) -> Action:
    """The first primitive, with a payload."""
    call_B4 = torch.zeros(len(payload_BX), 1 + SLOTS, dtype=torch.int64, device=payload_BX.device)
    return Action(call_B4, payload_BX)


class SmallCore(LearnerCore):
    """What their cores share."""

    hidden = 0

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config

    def hidden_size(self, spec: WorldSpec) -> int:
        return self.hidden


class SmallLearner:
    """What they share (implements ``Learner``)."""

    anywhere = False
    config = SmallConfig
    kind: str
    signals: tuple[tuple[str, str], ...]
    made: type[SmallCore]
    trained_by: type[LearnerObjective]

    def core(self, config: Any, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> SmallCore:
        return self.made(config, generator)

    def objective(self, core: Any, rows_NP: torch.Tensor, problems: Problems, training: Any) -> LearnerObjective:
        return self.trained_by(self, core, rows_NP, problems, training)

    def admit(self, spec: WorldSpec) -> None:
        if len(spec.primitives) != 1:
            raise ValueError(f"world {spec.name} has several primitives; small learners take one")

    def infer_row(self, core: Any, evidence: Episodes) -> torch.Tensor | None:
        return None

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The last score."""
        return {name: score_TB[-1] for name, score_TB in episodes.scores.items()}


# --- Supervised: a classifier from a support set ---------------------------------------------------------------------


class ClassifierCore(SmallCore):
    """The mean of encoded points, then its product with the encoded query."""

    hidden = UNITS

    def __init__(self, config: SmallConfig, generator: torch.Generator) -> None:
        super().__init__(config)
        self.encode = layers(3 + config.row, UNITS, generator)
        self.query = layers(2 + config.row, UNITS, generator)
        self.choose = seeded_linear(UNITS, 2, generator=generator)

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        point_BL3, lengths_B = given.channels["support"]
        row_BLP = task.row_BP[:, None].expand(-1, point_BL3.shape[1], -1)
        there_BL1 = (torch.arange(point_BL3.shape[1]) < lengths_B[:, None])[..., None]
        encoded_BLH = self.encode(torch.cat([point_BL3, row_BLP], 2)) * there_BL1
        return encoded_BLH.sum(1) / lengths_B[:, None]

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        query_BH = self.query(torch.cat([seen.channels["query"], task.row_BP], 1))
        log_B2 = self.choose(hidden_BH * query_BH).log_softmax(1)
        call_B4 = torch.zeros(len(log_B2), 1 + SLOTS, dtype=torch.int64)
        call_B4[:, 1] = 1 + choice(log_B2.exp(), draw)
        return StepOutput(Action(call_B4), hidden_BH, {"log_B2": log_B2})

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        return step.extras["log_B2"].gather(1, action.call_B4[:, 1:2] - 1)[:, 0]


class Classifier(SmallLearner):
    kind, signals = "small-classifier", (("maximise", "right"),)
    training = LearnerTraining(updates=200, batch=128, rate=1e-2, check_every=100, problems=256)
    learning = LearnerTraining(updates=20, batch=64, starts=2)
    made, trained_by = ClassifierCore, Supervised


# --- Imitation: continuous forces after one demonstration ------------------------------------------------------------


class ImitatorCore(SmallCore):
    """A row from where a demonstration began and what it did; a force by place and row."""

    def __init__(self, config: SmallConfig, generator: torch.Generator) -> None:
        super().__init__(config)
        self.infer = layers(2 + 2, config.row, generator)
        self.push = layers(2 + config.row, 2, generator)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        mean_BX = self.push(torch.cat([seen.channels["place"], task.row_BP], 1))
        return StepOutput(no_arguments(mean_BX), hidden_BH, {"mean_BX": mean_BX})

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        """Gaussian, but for a constant."""
        return -(action.payload_BX - step.extras["mean_BX"]).square().sum(1)


class Imitator(SmallLearner):
    kind, signals = "small-imitator", (("imitate", "demonstrations"),)
    training = LearnerTraining(updates=300, batch=64, rate=1e-2, check_every=100, problems=256)
    learning = LearnerTraining(updates=20, batch=64, starts=2)
    made, trained_by = ImitatorCore, Imitation

    def infer_row(self, core: Any, evidence: Episodes) -> torch.Tensor | None:
        return core.infer(torch.cat([evidence.seen[0].channels["place"], evidence.actions[0].payload_BX], 1))


# --- Replay: a reacher whose critic and actor are moved apart --------------------------------------------------------


class ReacherCore(SmallCore, ValuedCore):
    """A bounded force by place, goal and row, and a critic of it."""

    NOISE = 0.3

    def __init__(self, config: SmallConfig, generator: torch.Generator) -> None:
        super().__init__(config)
        self.actor = layers(4 + config.row, 2, generator)
        self.critic = layers(4 + 2 + config.row, 1, generator)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        force_BX = self.actor(self._inputs(task, seen)).tanh()
        return StepOutput(no_arguments(force_BX + (0 if draw is None else self.NOISE * draw.normal(2))), hidden_BH)

    def action_value(self, task: TaskInput, seen: Observation, action: Action) -> torch.Tensor:
        return self.critic(torch.cat([self._inputs(task, seen), action.payload_BX], 1))[:, 0]

    def parameter_groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        return {"actor": list(self.actor.parameters()), "critic": list(self.critic.parameters())}

    def _inputs(self, task: TaskInput, seen: Observation) -> torch.Tensor:
        return torch.cat([seen.channels["place"], seen.channels["goal"], task.row_BP], 1)


class Reacher(SmallLearner):
    kind, signals = "small-reacher", (("maximise", "closeness"),)
    training = ReplayTraining(updates=80, batch=64, rate=5e-3, check_every=40, problems=128, discount=0.5)
    learning = ReplayTraining(updates=20, batch=64, starts=2)
    made, trained_by = ReacherCore, Replay


# --- Unrolled: queries of a one-dimensional function -----------------------------------------------------------------


class SeekerCore(SmallCore):
    """A recurrent layer that reads the last place and its value, and says how far from it to ask next."""

    hidden = UNITS

    def __init__(self, config: SmallConfig, generator: torch.Generator) -> None:
        super().__init__(config)
        self.recur = layers(2 + UNITS + config.row, UNITS, generator)
        self.ask = layers(UNITS, 1, generator)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        inputs = [seen.channels["asked"], seen.channels["value"], hidden_BH, task.row_BP]
        hidden_BH = self.recur(torch.cat(inputs, 1)).tanh()
        return StepOutput(no_arguments(seen.channels["asked"] + self.ask(hidden_BH)), hidden_BH)


class Seeker(SmallLearner):
    kind, signals, anywhere = "small-seeker", (("minimise", "value"),), True
    training = UnrolledTraining(updates=200, batch=64, rate=1e-2, check_every=100, problems=256)
    learning = UnrolledTraining(updates=20, batch=64, starts=2)
    made, trained_by = SeekerCore, Unrolled


# --- Search: rows without gradients ----------------------------------------------------------------------------------


class AimerCore(SmallCore):
    """A force from the place to where the row says."""

    def __init__(self, config: SmallConfig, generator: torch.Generator) -> None:
        super().__init__(config)
        self.aim = seeded_linear(config.row, 2, generator=generator)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        return StepOutput(no_arguments(self.aim(task.row_BP) - seen.channels["place"]), hidden_BH)


class Aimer(SmallLearner):
    kind, signals = "small-aimer", (("maximise", "closeness"),)
    training = SearchTraining(updates=100, batch=8, row_rate=5e-2, check_every=50, problems=32)
    learning = SearchTraining(updates=100, batch=8, row_rate=5e-2, check_every=50, problems=32, starts=2)
    made, trained_by = AimerCore, Search


def program_file(world: str, signal: str, core: str, steps: int, *, laid: str = "", count: str = "STEP") -> str:
    """A file with one program, ``SOLVE``, and one task, ``solve``; ``count`` is the world's field of steps."""
    return f"""world w is {world}

program SOLVE "Do it":
    {signal} over {steps} steps
    core "{core}"

task solve(episode: number):
    EPISODE = digits(episode)
{laid}    run SOLVE
    expect {count} == [{steps}]
    train episode of 6 digits
    test episode of 7 digits
"""


FILES: Mapping[str, str] = {
    "small-classifier": program_file("points", "maximise right", "small-classifier", 1),
    "small-imitator": program_file("pusher", "imitate demonstrations", "small-imitator", 1),
    "small-reacher": program_file("pusher(shown: 1)", "maximise closeness", "small-reacher", 2),
    "small-seeker": program_file("curve", "minimise value", "small-seeker", 4),
    "small-aimer": program_file("pusher", "maximise closeness", "small-aimer", 1, laid='    CORNER = ["north"]\n'),
}
LEARNERS = {one.kind: one for one in (Classifier(), Imitator(), Reacher(), Seeker(), Aimer())}
