"""Particle reaching (Duan et al. 2017, appendix): a point mass goes to the landmark that a demonstration tells.

Landmarks differ by their colours. A task is a colour: in each scene of it one landmark has that colour, at another
place and among other landmarks. Nothing that is observed of a scene tells the task, but a demonstration of it in
another scene does (``shown: yes``). Without a demonstration a program has to know its task, as a skill.

What moves is a point mass (:mod:`envs.control.point_mass`); ``PUSH`` takes the force. An instance has reached its goal
where it is at the right landmark in the end. Landmarks lie at least 0.3 apart; the mass is ``AT`` one that is nearer
than 0.1.

Shape legend: ``B`` instances, ``K`` landmarks of 5 numbers (x, y, colour), ``L`` moments, ``D`` numbers of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Self

from envs.control.demonstrations import (
    BODY,
    DEMONSTRATION,
    OBJECTS,
    Demonstration,
    Sizes,
    channel_of,
    given_lines,
    packed,
)
from envs.control.looks import CELLS, NUMBERS, colours
from envs.control.point_mass import WALL, moved, towards
from envs.control.scene_drawing import Mark, drawing
from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import laid_value, one_of, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.support.counter_rng import below, mixed, uniform
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given, Layout, check_given

KIND = "reaching"

SKILL = Field("SKILL", EPISODE.values)
"""The hidden part that says which task it is, by the decimal digits of its number; 0: one drawn for the episode."""

SPLIT = Field("SPLIT", ("train", "test"))
"""The hidden part that says whether the goal has one of the colours that are kept for tests."""

REACHED = Field("REACHED", ("no", "yes"))

RADIUS = 0.1
"""How near a landmark is reached."""

CELLS_A_SIDE, JITTER = 5, 0.05
"""Landmarks lie within so much of the middles of different cells of a lattice over the square from -1 to 1."""

OTHER_SCENE, COUNT, GOAL, PLACE, OFFSET, START, NOISE, TASK = 91, 92, 93, 94, 95, 96, 97, 98
"""What is drawn, as a part of the numbers that are mixed."""

MAX_LANDMARKS = min(CELLS, CELLS_A_SIDE**2)

LARGEST = 2.0
"""No number of a body is larger: walls stand at 1.5, and no speed exceeds 2."""

SIZES = Sizes(body=4, object=2 + NUMBERS, payload=2)


@dataclass(frozen=True)
class ReachingConfig:
    """The settings of ``reaching(…)`` in a program file.

    Attributes:
        landmarks: the most of a scene. fewest: the least; how many there are is drawn.
        steps: of a demonstration, each of 0.1 s. noise: standard deviation of what the demonstrator's force is off by.
        shown: whether a demonstration is observed. actions: whether it tells the demonstrator's forces.
    """

    landmarks: int = 10
    fewest: int = 2
    steps: int = 30
    noise: float = 0.2
    shown: str = "yes"
    actions: str = "yes"

    def __post_init__(self) -> None:
        within(KIND, "landmarks", self.landmarks, 1, MAX_LANDMARKS)
        within(KIND, "fewest", self.fewest, 1, self.landmarks)
        within(KIND, "steps", self.steps, 1, 1000)
        within(KIND, "noise", self.noise, 0, 10)
        one_of(KIND, "shown", self.shown, ("yes", "no"))
        one_of(KIND, "actions", self.actions, ("yes", "no"))


@dataclass
class ReachingState(EpisodeState):
    """A batch of scenes.

    Attributes:
        skill_B, split_B, asked_B: int64, what was laid out.
        goal_B, count_B: int64, which landmark is the goal, and how many there are.
        objects_BKF: float32. body_B4: float32, keeps a graph.
        line_BLD: float32, the demonstration. length_B: int64, its moments.
    """

    skill_B: torch.Tensor
    split_B: torch.Tensor
    asked_B: torch.Tensor
    goal_B: torch.Tensor
    count_B: torch.Tensor
    objects_BKF: torch.Tensor
    body_B4: torch.Tensor
    line_BLD: torch.Tensor
    length_B: torch.Tensor

    @property
    def place_B2(self) -> torch.Tensor:
        """Where the goal is."""
        return self.objects_BKF[torch.arange(self.batch, device=self.device), self.goal_B, :2]

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order, without a graph."""
        with torch.no_grad():
            return super().select(index_B)


class Reaching(Trials[ReachingState]):
    """The world (implements ``World[ReachingState]``, ``Scored``, ``Demonstrated``, ``Suggesting``, ``Drawn``)."""

    scores: Mapping[str, bool] = MappingProxyType({"success": True, "distance": False})

    def __init__(self, name: str, config: ReachingConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, ReachingConfig) else read_settings(ReachingConfig, config, KIND)
        self.spec = _spec(name, self.config)

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:-1]

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> ReachingState:
        """Scenes by their numbers.

        Args:
            given: ``demonstration``, B × L × D, in place of the scripted one.
        """
        state = super().reset(layouts, device=device)
        check_given(self.spec, given, len(layouts))
        if given and OBJECTS in given:
            raise ValueError(f"world {self.spec.name}: landmarks are drawn and cannot be given; give {DEMONSTRATION}")
        if given:
            held = given_lines(self.spec, given, SIZES, self.config.landmarks)
            state.line_BLD, state.length_B = held.padded_BLX.to(device), held.lengths_B.to(device)
        return state

    @property
    def longest(self) -> Mapping[str, int]:
        """Lines of the ragged channels (``Bounded``)."""
        return {OBJECTS: self.config.landmarks, DEMONSTRATION: self.config.steps + 1}

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        episode, skill = (episode_number(number, layout, part.name) for part in (EPISODE, SKILL))
        _, _, split, count = self.parts
        return episode, skill, laid_value(number, layout, split, 0), laid_value(number, layout, count, 0)

    def begun(self, laid_BX: torch.Tensor) -> ReachingState:
        episode_B, skill_B, split_B, asked_B = columns(laid_BX)
        fewest, most = self.config.fewest, self.config.landmarks
        drawn_B = fewest + below(most - fewest + 1, episode_B, COUNT)
        count_B = torch.where(asked_B > 0, asked_B, drawn_B)
        goal_B = below(2**30, episode_B, GOAL) % count_B
        task_B = torch.where(skill_B > 0, skill_B, mixed(episode_B, TASK))
        look_BK3 = colours(episode_B, task_B, split_B > 0, goal_B, most)
        body_B4, objects_BKF = self._scene(episode_B, look_BK3, count_B)
        state = ReachingState(
            episode_B, skill_B, split_B, asked_B, goal_B, count_B, objects_BKF, body_B4,
            body_B4.new_zeros(len(episode_B), 1, 0), torch.zeros_like(count_B),
        )  # fmt: skip
        if self.config.shown == "yes":
            shown = packed(self._shown(mixed(episode_B, OTHER_SCENE), look_BK3, goal_B, count_B))
            state.line_BLD, state.length_B = shown.padded_BLX, shown.lengths_B
        return state

    def _scene(
        self, seed_B: torch.Tensor, look_BK3: torch.Tensor, count_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """body_B4 at rest anywhere, and objects_BKF at the middles of different cells, or nearly there."""
        K, device = look_BK3.shape[1], seed_B.device
        number_C, thing_K1 = torch.arange(CELLS_A_SIDE**2, device=device), torch.arange(K, device=device)[:, None]
        axis_2 = torch.arange(2, device=device)
        cell_BK = uniform(seed_B[:, None], PLACE, number_C).argsort(1)[:, :K]
        middle_BK2 = torch.stack([cell_BK % CELLS_A_SIDE, cell_BK // CELLS_A_SIDE], 2)
        place_BK2 = (2 * middle_BK2 + 1) / CELLS_A_SIDE - 1
        place_BK2 = place_BK2 + JITTER * (2 * uniform(seed_B[:, None, None], OFFSET, thing_K1, axis_2) - 1)
        exists_BK1 = (thing_K1[:, 0] < count_B[:, None])[..., None]
        objects_BKF = torch.cat([place_BK2.float(), look_BK3], 2) * exists_BK1
        start_B2 = 2 * uniform(seed_B[:, None], START, axis_2).float() - 1
        return torch.cat([start_B2, torch.zeros_like(start_B2)], 1), objects_BKF

    def _shown(
        self, seed_B: torch.Tensor, look_BK3: torch.Tensor, goal_B: torch.Tensor, count_B: torch.Tensor
    ) -> Demonstration:
        """The same task, done in a scene of other places."""
        body_B4, objects_BKF = self._scene(seed_B, look_BK3, count_B)
        goal_B2 = objects_BKF[torch.arange(len(goal_B), device=goal_B.device), goal_B, :2]
        step_T1, axis_2 = (
            torch.arange(self.config.steps, device=seed_B.device)[:, None],
            torch.arange(2, device=seed_B.device),
        )
        chance_BT2 = uniform(seed_B[:, None, None], NOISE, step_T1, axis_2).clamp(min=2.0**-54)
        bodies, forces = self._demonstrated(body_B4, goal_B2, torch.special.ndtri(chance_BT2).float())
        force_BLX = torch.stack([*forces, torch.zeros_like(forces[0])], 1)
        tells = self.config.actions == "yes"
        length_B = torch.full_like(goal_B, len(bodies))
        objects_BLKF = objects_BKF[:, None].expand(-1, len(bodies), -1, -1)
        told_B = torch.full_like(goal_B, tells, dtype=torch.bool)
        return Demonstration(torch.stack(bodies, 1), objects_BLKF, count_B, force_BLX * tells, told_B, length_B)

    def _demonstrated(
        self, body_B4: torch.Tensor, goal_B2: torch.Tensor, off_BT2: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Bodies and forces of a demonstrator whose force is off by so many times the noise."""
        bodies, forces = [body_B4], list[torch.Tensor]()
        for off_B2 in off_BT2.unbind(1):
            forces.append((towards(body_B4, goal_B2) + self.config.noise * off_B2).clamp(-1, 1))
            body_B4 = moved(body_B4, forces[-1])
            bodies.append(body_B4)
        return bodies, forces

    def observe(self, state: ReachingState) -> Observation:
        return self._observed(state, [state.body_B4.clone()])[0]

    def _observed(self, state: ReachingState, bodies: Sequence[torch.Tensor]) -> list[Observation]:
        """What is observed where the mass is at each of some places, one after the other."""
        place_K = torch.arange(self.config.landmarks, device=state.device)
        body_TB4 = torch.stack([body_B4.detach() for body_B4 in bodies])
        away_TBK = (state.objects_BKF[..., :2] - body_TB4[:, :, None, :2]).norm(dim=3)
        least_TB, near_TB = away_TBK.masked_fill(place_K >= state.count_B[:, None], torch.inf).min(2)
        at_TB1 = torch.where(least_TB < RADIUS, near_TB + 1, 0)[..., None]
        lasting = {OBJECTS: Ragged(state.objects_BKF, state.count_B)}
        if self.config.shown == "yes":
            lasting[DEMONSTRATION] = Ragged(state.line_BLD, state.length_B)
        return [Observation(at_B1, {BODY: body_B4, **lasting}) for at_B1, body_B4 in zip(at_TB1, bodies, strict=True)]

    def act(self, state: ReachingState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        force_B2 = torch.zeros_like(state.body_B4[:, :2]) if action.payload_BX is None else action.payload_BX[:, :2]
        if action.given_B is not None:
            force_B2 = torch.where(action.given_B[:, None], force_B2, 0.0)
        body_B4 = torch.where(acts_B[:, None], moved(state.body_B4, force_B2), state.body_B4)
        if body_B4.requires_grad:
            state.body_B4 = body_B4
        else:
            state.body_B4.copy_(body_B4)

    def score(self, state: ReachingState) -> dict[str, torch.Tensor]:
        """Whether the mass is at the right landmark now, and how far away."""
        return self._scores(state, state.body_B4 if torch.is_grad_enabled() else state.body_B4.detach())

    def _scores(self, state: ReachingState, body_XB4: torch.Tensor) -> dict[str, torch.Tensor]:
        distance_XB = (state.place_B2 - body_XB4[..., :2]).norm(dim=-1)
        return {"success": (distance_XB < RADIUS).float(), "distance": distance_XB}

    def detach(self, state: ReachingState) -> None:
        state.body_B4 = state.body_B4.detach()

    def suggest(self, state: ReachingState) -> Action:
        """What the demonstrator would do, without its noise."""
        call_B4 = torch.zeros(state.batch, 4, dtype=torch.int64, device=state.device)
        return Action(call_B4, towards(state.body_B4.detach(), state.place_B2))

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The scripted demonstrator, whose force is off by noise, in these scenes."""
        state = self.reset(layouts, device=generator.device)
        off_BT2 = torch.randn(state.batch, self.config.steps, 2, generator=generator, device=state.device)
        bodies, forces = self._demonstrated(state.body_B4, state.place_B2, off_BT2)
        call_B4 = torch.zeros(state.batch, 4, dtype=torch.int64, device=state.device)
        live_TB = torch.ones(self.config.steps, state.batch, dtype=torch.bool, device=state.device)
        scores = self._scores(state, torch.stack(bodies[1:]))
        actions = [Action(call_B4, force_B2) for force_B2 in forces]
        return Episodes(self._observed(state, bodies), actions, scores, live_TB, torch.zeros_like(live_TB))

    def hidden(self, state: ReachingState) -> Sequence[tuple[Sequence[int], ...]]:
        reached_B = self.score(state)["success"].long()
        laid = torch.stack([state.episode_B, state.skill_B, state.split_B, state.asked_B, reached_B], 1).tolist()
        return [(digits(e), digits(skill), [split], [asked], [done]) for e, skill, split, asked, done in laid]

    def draw(self, state: ReachingState, instance: int = 0, *, width: int = 100) -> str:
        """The plane from above: landmarks by number, the goal in brackets, the mass as ``o``."""
        count, goal = int(state.count_B[instance]), int(state.goal_B[instance])
        names = [f"[{k + 1}]" if k == goal else str(k + 1) for k in range(count)]
        places = state.objects_BKF[instance, :count, :2].tolist()
        marks = [Mark(x, y, name) for (x, y), name in zip(places, names, strict=True)]
        x, y, *_ = state.body_B4[instance].tolist()
        return drawing([*marks, Mark(x, y, "o")], WALL, width)


def _spec(name: str, config: ReachingConfig) -> WorldSpec:
    numbers = tuple(str(1 + number) for number in range(config.landmarks))
    shown = (channel_of(SIZES, config.landmarks, LARGEST),) if config.shown == "yes" else ()
    force = Channel("force", (2,), low=-1, high=1)
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("AT", ("none", *numbers)),),
        tokens=(NONE, *numbers),
        primitives=(Signature("PUSH", (), "Push the mass for a tenth of a second", force),),
        channels=(
            Channel(BODY, (4,), low=-LARGEST, high=LARGEST),
            Channel(OBJECTS, (None, SIZES.object), low=-1, high=1, per="episode"),
            *shown,
        ),
        hidden=(EPISODE, SKILL, SPLIT, Field("COUNT", ("any", *numbers)), REACHED),
    )
