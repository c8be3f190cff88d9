"""Which is Heavier (Denil et al. 2017, section 4.1): blocks of unknown masses that an agent pokes until it answers.

Four blocks of one size lie on a floor and move up and down. Among them one is heavy and the others are light: their
masses follow from draws of Beta(β, 1) and Beta(1, β). A poke pushes one block upwards with a force that is the same for
all, for one step; an answer ends the experiment and pays 1 or −1, and so does the last step without one, which pays −1.
Time is paid for by a discount: what is paid after n steps is worth the discount to the power of n.

The paper asks for the heavy one. Here what is asked is a hidden part, so that one world holds all questions
(:mod:`envs.physics.questions`); a program is told by its row or by its arguments.

Shape legend: ``B`` instances, ``N`` blocks, ``Y`` × ``X`` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.physics.motion import Motion, moved
from envs.physics.questions import HEAVY, RightAnswers, questions
from envs.physics.rendering import drawing, render
from envs.settings import figure, laid_value, one_of, read_settings, within
from envs.spec import NONE, SLOTS, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import below, uniform
from envs.support.lazy_torch import torch
from envs.world import Conclusion, Layout

KIND = "blocks"

BETAS = ("1", "3", "5", "10")
"""β of the masses, in the order of their indices; with 1 all masses are uniform. The paper has 3, 5 and 10."""

DISCOUNTS = ("0.95", "0.99", "1")
"""Of time, in the order of their indices. The paper has 0.95 and 0.99."""

POKE, ANSWER, CLEAR = 0, 1, 2
"""The primitives."""

WHICH, MASSES = 51, 52
"""What is drawn, as a part of the numbers that are mixed."""

CENTIMETRES = 100.0
"""In a metre."""


@dataclass(frozen=True)
class BlocksConfig:
    """The settings of ``blocks(…)`` in a program file.

    Attributes:
        blocks: N. steps: of an experiment; the last one without an answer pays −1.
        beta, discount, question: of an episode whose layout names none.
        least, most: masses in kg of draws of 0 and of 1; the mass is a linear function of the draw.
        force: of a poke, in N. gravity: in m/s². seconds: of a step.
        pixels: along a side of a picture that is observed in place of heights; 0: heights.
    """

    blocks: int = 4
    steps: int = 100
    beta: int = 5
    discount: float = 0.99
    question: str = HEAVY
    least: float = 0.25
    most: float = 1.25
    force: float = 15.0
    gravity: float = 9.81
    seconds: float = 0.1
    pixels: int = 0

    def __post_init__(self) -> None:
        within("a world of blocks", "blocks", self.blocks, 2, 5)
        one_of("a world of blocks", "beta", figure(self.beta), BETAS)
        one_of("a world of blocks", "discount", figure(self.discount), DISCOUNTS)
        one_of("a world of blocks", "question", self.question, [q.name for q in questions(self.blocks)])
        ranges = {"steps": (1, 1000), "least": (0.01, 100), "most": (0.01, 100), "force": (0.01, 10_000)}
        for key, (low, high) in {**ranges, "gravity": (0, 100), "seconds": (0.001, 10)}.items():
            within("a world of blocks", key, getattr(self, key), low, high)
        if self.pixels:
            within("a world of blocks", "pixels", self.pixels, 8, 64)
        if self.least >= self.most:
            raise SpecError(f"blocks weigh {self.least} to {self.most} kg; give a least that is below most")
        if self.force <= self.most * self.gravity:
            raise SpecError(
                f"a poke of {self.force} N does not lift a block of {self.most} kg, so it tells nothing; give a force "
                f"above {self.most * self.gravity:g}"
            )

    @property
    def highest(self) -> float:
        """A height in m that no block reaches: that of the lightest one, pushed all the time."""
        return self.force / self.least * (self.seconds * self.steps) ** 2 / 2

    @property
    def view(self) -> float:
        """The height in m that a picture shows, from the floor: to where the lightest block flies from one poke."""
        rise = self.force / self.least - self.gravity
        speed = rise * self.seconds
        flight = speed**2 / (2 * self.gravity) if self.gravity else speed * self.seconds * 10
        return rise * self.seconds**2 / 2 + flight


@dataclass
class BlocksState(EpisodeState):
    """A batch of experiments.

    Attributes:
        episode_B, beta_B, discount_B, question_B: int64, what was laid out: a number, and indices.
        heavy_B: int64, the block that was drawn as heavy, from 0. mass_BN: float64, kg.
        correct_B: int64, the right answer, from 0.
        height_BN, speed_BN: float64, m and m/s, upwards.
        step_B: int64, steps so far. last_B: the block poked last, answer_B: the answer; from 1, 0 for none.
        ended_B: bool. paid_B: float32, what the last step paid. right_B: bool, of the answer.
    """

    beta_B: torch.Tensor
    discount_B: torch.Tensor
    question_B: torch.Tensor
    heavy_B: torch.Tensor
    mass_BN: torch.Tensor
    correct_B: torch.Tensor
    height_BN: torch.Tensor
    speed_BN: torch.Tensor
    step_B: torch.Tensor
    last_B: torch.Tensor
    answer_B: torch.Tensor
    ended_B: torch.Tensor
    paid_B: torch.Tensor
    right_B: torch.Tensor


class Tables(NamedTuple):
    """On a device: β of each index, the discounts, and the right answers."""

    betas: torch.Tensor
    discounts: torch.Tensor
    right: RightAnswers


class Blocks(Trials[BlocksState]):
    """The world (implements ``World[BlocksState]``, ``Scored``, ``Ending``, ``Drawn``); see the head of this file."""

    def __init__(self, name: str, config: BlocksConfig | Mapping[str, Any]) -> None:
        what = "a world of blocks"
        self.config = config if isinstance(config, BlocksConfig) else read_settings(BlocksConfig, config, what)
        self.questions = [question.name for question in questions(self.config.blocks)]
        self.spec = _spec(name, self.config, self.questions)
        self._tables: dict[torch.device, Tables] = {}

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:4]

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        """``EPISODE`` is digits, the others are indices."""
        config, (_, *parts) = self.config, self.parts
        beta, discount = BETAS.index(figure(config.beta)), DISCOUNTS.index(figure(config.discount))
        usual = beta, discount, self.questions.index(config.question)
        chosen = (laid_value(number, layout, part, index) for part, index in zip(parts, usual, strict=True))
        return episode_number(number, layout), *chosen

    def begun(self, laid_BX: torch.Tensor) -> BlocksState:
        return self.begin(*columns(laid_BX))

    def begin(
        self, episode_B: torch.Tensor, beta_B: torch.Tensor, discount_B: torch.Tensor, question_B: torch.Tensor
    ) -> BlocksState:
        """Experiments by tensors: their numbers, and indices into ``BETAS``, ``DISCOUNTS`` and the questions."""
        config = self.config
        heavy_B = below(config.blocks, episode_B, WHICH)
        number_N = torch.arange(config.blocks, device=episode_B.device)
        share_BN = draws(
            uniform(episode_B[:, None], MASSES, number_N),
            self._on(episode_B.device).betas[beta_B][:, None],
            number_N == heavy_B[:, None],
        )
        mass_BN = config.least + (config.most - config.least) * share_BN
        still_BN, none_B = torch.zeros_like(mass_BN), torch.zeros_like(episode_B)
        correct_B = self._on(episode_B.device).right(question_B, mass_BN, heavy_B)
        step_B, last_B, answer_B = (none_B.clone() for _ in range(3))
        ended_B, right_B = none_B.bool(), none_B.bool()
        return BlocksState(
            episode_B, beta_B, discount_B, question_B, heavy_B, mass_BN, correct_B, still_BN, still_BN.clone(),
            step_B, last_B, answer_B, ended_B, none_B.float(), right_B,
        )  # fmt: skip

    def observe(self, state: BlocksState) -> Observation:
        fields_BF = torch.stack([state.last_B, state.answer_B, state.step_B], 1)
        if self.config.pixels:
            picture_BYX = render(state.height_BN, self.config.pixels, self.config.view)
            return Observation(fields_BF, {"picture": picture_BYX})
        return Observation(fields_BF, {"heights": (CENTIMETRES * state.height_BN).float()})

    def act(self, state: BlocksState, action: Action, active_B: torch.Tensor) -> None:
        call_B4 = torch.where((active_B & self.legal(action))[:, None], action.call_B4, -1)
        clears_B = call_B4[:, 0] == CLEAR
        pokes_B, answers_B = (~state.ended_B & (call_B4[:, 0] == callee) for callee in (POKE, ANSWER))
        block_B = (call_B4[:, 1] - 1).clamp(min=0)
        right_B = block_B == state.correct_B
        self._move(state, block_B, pokes_B)
        late_B = pokes_B & (state.step_B == self.config.steps - 1)
        worth_B = self._on(state.device).discounts[state.discount_B] ** state.step_B
        paid_B = torch.where(answers_B & right_B, worth_B, torch.where(answers_B | late_B, -worth_B, 0.0)).float()
        state.paid_B.copy_(torch.where(pokes_B | answers_B | clears_B, paid_B, state.paid_B))
        state.right_B.copy_(torch.where(answers_B, right_B, state.right_B & ~clears_B))
        state.ended_B.copy_((state.ended_B | answers_B | late_B) & ~clears_B)
        state.last_B.copy_(torch.where(pokes_B, call_B4[:, 1], torch.where(clears_B, 0, state.last_B)))
        state.answer_B.copy_(torch.where(answers_B, call_B4[:, 1], torch.where(clears_B, 0, state.answer_B)))
        state.step_B.copy_(torch.where(clears_B, 0, state.step_B + (pokes_B | answers_B).long()))
        for part_BN in (state.height_BN, state.speed_BN):
            part_BN.masked_fill_(clears_B[:, None], 0.0)

    def _move(self, state: BlocksState, block_B: torch.Tensor, pokes_B: torch.Tensor) -> None:
        """All blocks of experiments with a poke, for one step; nothing moves while an answer is given."""
        config, number_N = self.config, torch.arange(self.config.blocks, device=state.device)
        force_BN = config.force * (number_N == block_B[:, None])
        motion = moved(
            Motion(state.height_BN, state.speed_BN), force_BN / state.mass_BN - config.gravity, config.seconds
        )
        for held_BN, moved_BN in zip((state.height_BN, state.speed_BN), motion, strict=True):
            held_BN.copy_(torch.where(pokes_B[:, None], moved_BN, held_BN))

    def prepare(self, state: BlocksState, acts: int) -> bool:
        self._on(state.device)
        return False

    def legal(self, action: Action) -> torch.Tensor:
        call_B4 = action.call_B4
        names_B = (call_B4[:, 1] >= 1) & (call_B4[:, 1] <= self.config.blocks)
        takes_B = ((call_B4[:, 0] == POKE) | (call_B4[:, 0] == ANSWER)) & names_B
        clears_B = (call_B4[:, 0] == CLEAR) & (call_B4[:, 1] == 0)
        return (takes_B | clears_B) & (call_B4[:, 2 : 1 + SLOTS] == 0).all(1)

    def score(self, state: BlocksState) -> dict[str, torch.Tensor]:
        """What the last step paid, discounted."""
        return {"reward": state.paid_B.clone()}

    def conclusion(self, state: BlocksState, action: Action) -> Conclusion:
        answers_B = self.legal(action) & (action.call_B4[:, 0] == ANSWER) & ~state.ended_B
        right_B = action.call_B4[:, 1] - 1 == state.correct_B
        worth_B = self._on(state.device).discounts[state.discount_B] ** state.step_B
        score_B = torch.where(answers_B, torch.where(right_B, worth_B, -worth_B), 0.0)
        return Conclusion(answers_B, score_B.float())

    def ended(self, state: BlocksState) -> torch.Tensor:
        return state.ended_B.clone()

    def hidden(self, state: BlocksState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.beta_B, state.discount_B, state.question_B], 1).tolist()
        order_BN = state.mass_BN.argsort(dim=1, descending=True, stable=True).tolist()
        right = [[int(right)] if answer else [] for right, answer in zip(state.right_B, state.answer_B, strict=True)]
        return [
            (digits(episode), [beta], [discount], [question], [heavy], order, answered)
            for (episode, beta, discount, question), heavy, order, answered in zip(
                laid, state.heavy_B.tolist(), order_BN, right, strict=True
            )
        ]

    def draw(self, state: BlocksState, instance: int = 0, *, width: int = 100) -> str:
        """The blocks above the floor, their heights, what is asked, and what was done."""
        heights = [CENTIMETRES * height for height in state.height_BN[instance].tolist()]
        asked = self.questions[int(state.question_B[instance])]
        step, last, answer = (int(part[instance]) for part in (state.step_B, state.last_B, state.answer_B))
        return drawing(heights, f"asked: {asked}; step {step}; poked: {last or '-'}; answer: {answer or '-'}")

    def _on(self, device: torch.device) -> Tables:
        if device not in self._tables:
            betas, discounts = (
                torch.tensor(list(map(float, names)), dtype=torch.float64, device=device)
                for names in (BETAS, DISCOUNTS)
            )
            self._tables[device] = Tables(betas, discounts, RightAnswers(self.config.blocks, device))
        return self._tables[device]


def draws(uniform_BN: torch.Tensor, beta_B1: torch.Tensor, heavy_BN: torch.Tensor) -> torch.Tensor:
    """Uniform numbers as draws of Beta(β, 1) where a block is heavy, and of Beta(1, β) where it is light.

    By the inverses of their distribution functions, ``x^β`` and ``1 − (1 − x)^β``.
    """
    return torch.where(heavy_BN, uniform_BN ** (1 / beta_B1), 1 - (1 - uniform_BN) ** (1 / beta_B1))


def _spec(name: str, config: BlocksConfig, asked: Sequence[str]) -> WorldSpec:
    numbers = tuple(str(1 + number) for number in range(config.blocks))
    slots = (Slot("block", tuple(range(1, 1 + config.blocks))),)
    shown = Channel("heights", (config.blocks,), low=0, high=CENTIMETRES * config.highest, unit="cm")
    if config.pixels:
        shown = Channel("picture", (config.pixels, config.pixels), low=0, high=1)
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("LAST", ("none", *numbers)),
            Field("ANSWERED", ("none", *numbers)),
            Field("STEP", tuple(map(str, range(config.steps + 1)))),
        ),
        tokens=(NONE, *numbers),
        primitives=(
            Signature("POKE", slots, "Push a block upwards for one step"),
            Signature("ANSWER", slots, "Answer the question, which ends the experiment"),
            Signature("CLEAR", (), "Put the blocks down and forget the answer, for another question", setup=True),
        ),
        channels=(shown,),
        hidden=(
            EPISODE,
            Field("BETA", BETAS),
            Field("DISCOUNT", DISCOUNTS),
            Field("QUESTION", tuple(asked)),
            Field("HEAVY", numbers),
            Field("ORDER", numbers),
            Field("RIGHT", ("0", "1")),
        ),
    )
