"""Cores that name pictures: by a support set, or by what was told along an episode.

Shape legend: ``B`` episodes, ``T`` steps, ``N`` drawings, ``S`` pixels of a side, ``W`` labels, ``L`` pictures of a
support set, ``C`` channels and ``K`` places of a map, ``D`` = ``C`` · ``K`` numbers of one, ``P`` parameters of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.world import Episodes
from meta.few_shot.memory import Growing, GrowingPrototypes, LeastRecentlyUsed, grown, packed
from meta.few_shot.network import PLACES, DrawingEncoder, FewShotConfig, MovingParts, SetEncoder
from npi.core.config import SIZE, one_of, setting
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput, choice

SUPPORT, PICTURE, TOLD = "support", "picture", "TOLD"
"""The channels that cores read, and the field that says the right label of the last picture, where it is told."""

NEVER = 1e4
"""The distance to a class that an episode does not have."""

PROTOTYPES, LRU = "prototypes", "least-recently-used"
"""The memories."""


@dataclass(frozen=True)
class MemoryConfig(FewShotConfig):
    """The shape of a core with a memory.

    Attributes:
        memory: :data:`PROTOTYPES` or :data:`LRU`.
        code, units, heads, slots, width: of the latter: numbers of a picture that its controller reads, the
            controller's units, and its memory (sizes of Santoro et al. 2016, section 4.2).
    """

    kind: str = "memory"
    memory: str = setting(PROTOTYPES, one_of(PROTOTYPES, LRU))
    code: int = setting(128, SIZE)
    units: int = setting(200, SIZE)
    heads: int = setting(4, SIZE)
    slots: int = setting(128, SIZE)
    width: int = setting(40, SIZE)


class NamingCore(LearnerCore):
    """What cores that name pictures share: a step is a likelihood of each label."""

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        return step.extras["log_BW"].gather(1, action.call_B4[:, 1:2] - 1)[:, 0]


class FewShotCore(NamingCore):
    """Names pictures by the nearest prototype of a support set; an episode carries the prototypes."""

    constant_hidden = True
    config: FewShotConfig

    def __init__(self, config: FewShotConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.encoder = DrawingEncoder(config.channels, config.row, generator=generator)
        self.distance = MovingParts(config.channels)
        self.set_encoder = SetEncoder(config.channels, config.set_hidden, config.row, generator=generator)

    @property
    def map_size(self) -> int:
        """D."""
        return self.config.channels * PLACES**2

    def hidden_size(self, spec: WorldSpec) -> int:
        """Of each label its prototype, and whether the episode has it."""
        return labels(spec) * (self.map_size + 1)

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        assert given is not None
        support = ragged(given, SUPPORT)
        map_BLD, there_BL = self.encoded_set(support, task.row_BP)
        label_L = torch.arange(there_BL.shape[1], device=there_BL.device) // max(1, task.spec.config["shots"])
        hit_BWL = (label_L == torch.arange(labels(task.spec), device=label_L.device)[:, None]) & there_BL[:, None]
        count_BW = hit_BWL.sum(2)
        share_BWL = hit_BWL.to(map_BLD.dtype) / count_BW.clamp(min=1)[..., None]
        return torch.cat([(share_BWL @ map_BLD).flatten(1), (count_BW > 0).to(map_BLD.dtype)], 1)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        log_BW = self.log_likelihood(task, channel(seen, PICTURE)[None], hidden_BH)[0]
        return StepOutput(named(log_BW, draw), hidden_BH, {"log_BW": log_BW})

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All pictures at once."""
        return with_likelihood(self.log_likelihood(task, shown(episodes), hidden_BH), episodes)

    def log_likelihood(self, task: TaskInput, picture_TBSS: torch.Tensor, hidden_BH: torch.Tensor) -> torch.Tensor:
        """log_TBW of each label of pictures."""
        map_TBD, W = encoded(self.encoder, picture_TBSS, task.row_BP), labels(task.spec)
        prototype_BWD, there_BW = hidden_BH[:, :-W].unflatten(1, (W, self.map_size)), hidden_BH[:, -W:]
        distance_BTW = self.distances(map_TBD.transpose(0, 1), prototype_BWD) + NEVER * (1 - there_BW)[:, None]
        return (-distance_BTW).log_softmax(2).transpose(0, 1)

    def maps(self, picture_NSS: torch.Tensor, row_P: torch.Tensor) -> torch.Tensor:
        """map_ND of pictures under one row."""
        return self.encoder(picture_NSS, row_P.expand(len(picture_NSS), -1)).flatten(1)

    def distances(self, map_BQD: torch.Tensor, prototype_BWD: torch.Tensor) -> torch.Tensor:
        """distance_BQW of the maps of an episode's pictures to its prototypes."""
        shape = (self.config.channels, PLACES**2)
        found_BQW: torch.Tensor = self.distance(map_BQD.unflatten(2, shape), prototype_BWD.unflatten(2, shape))
        return found_BQW

    def encoded_set(self, support: Ragged, row_BP: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """map_BLD of the pictures of a support set, zeros behind its end, and which are there (bool)."""
        picture_BLSS, length_B = support
        there_BL = torch.arange(picture_BLSS.shape[1], device=length_B.device) < length_B[:, None]
        episode_N, place_N = there_BL.nonzero(as_tuple=True)
        map_ND = self.encoder(picture_BLSS[episode_N, place_N], row_BP[episode_N]).flatten(1)
        map_BLD = map_ND.new_zeros(*there_BL.shape, self.map_size)
        return map_BLD.index_put((episode_N, place_N), map_ND), there_BL

    def inferred(self, support: Ragged) -> torch.Tensor:
        """row_BP from a support set, encoded under a row of zeros."""
        zero_BP = self.set_encoder.all.weight.new_zeros(len(support.lengths_B), self.config.row)
        map_BLD, there_BL = self.encoded_set(support, zero_BP)
        return self.set_encoder(map_BLD.unflatten(2, (self.config.channels, PLACES**2)), there_BL)


class GrowingCore(NamingCore):
    """Names pictures by prototypes that grow along the episode; it carries them, and the last picture, whose label is
    told next."""

    config: MemoryConfig

    def __init__(self, config: MemoryConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.encoder = DrawingEncoder(config.channels, config.row, generator=generator)
        self.distance = MovingParts(config.channels)
        self.read = GrowingPrototypes()

    @property
    def map_size(self) -> int:
        """D."""
        return self.config.channels * PLACES**2

    def hidden_size(self, spec: WorldSpec) -> int:
        return labels(spec) * (self.map_size + 1) + self.map_size

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        map_BD = self.encoder(channel(seen, PICTURE), task.row_BP).flatten(1)
        memory = self.told(task, seen, hidden_BH)
        log_BW = self.log_likelihood(map_BD[None], memory.mean_BCD[None], memory.count_BC[None])[0]
        return StepOutput(named(log_BW, draw), self.carried(memory, map_BD), {"log_BW": log_BW})

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All pictures are encoded, and all distances found, at once."""
        steps = episodes.seen[:-1]
        map_TBD = encoded(self.encoder, shown(episodes), task.row_BP)
        memories = list[Growing]()
        for seen, map_BD in zip(steps, map_TBD, strict=True):
            memories.append(self.told(task, seen, hidden_BH))
            hidden_BH = self.carried(memories[-1], map_BD)
        mean_TBWD = torch.stack([memory.mean_BCD for memory in memories])
        count_TBW = torch.stack([memory.count_BC for memory in memories])
        return with_likelihood(self.log_likelihood(map_TBD, mean_TBWD, count_TBW), episodes)

    def told(self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor) -> Growing:
        """The memory, with the last picture in the slot of the label that was told of it."""
        W, D = labels(task.spec), self.map_size
        mean_BX, count_BW, last_BD = hidden_BH.split([W * D, W, D], 1)
        return grown(Growing(mean_BX.unflatten(1, (W, D)), count_BW), last_BD, told(task.spec, seen))

    def carried(self, memory: Growing, map_BD: torch.Tensor) -> torch.Tensor:
        return torch.cat([memory.mean_BCD.flatten(1), memory.count_BC, map_BD], 1)

    def log_likelihood(self, map_TBD: torch.Tensor, mean_TBWD: torch.Tensor, count_TBW: torch.Tensor) -> torch.Tensor:
        """log_TBW of each label."""
        shape = (self.config.channels, PLACES**2)
        query_N1CL = map_TBD.flatten(0, 1)[:, None].unflatten(2, shape)
        distance_NW = self.distance(query_N1CL, mean_TBWD.flatten(0, 1).unflatten(2, shape))[:, 0]
        return self.read(distance_NW.unflatten(0, map_TBD.shape[:2]), count_TBW).log_softmax(2)


class LeastRecentlyUsedCore(NamingCore):
    """Names pictures by a controller with a memory of slots (Santoro et al. 2016); both are carried.

    Args:
        count: of labels.
    """

    config: MemoryConfig

    def __init__(self, config: MemoryConfig, count: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.labels = config, count
        self.encoder = DrawingEncoder(config.channels, config.row, generator=generator)
        self.code = seeded_linear(config.channels * PLACES**2, config.code, generator=generator)
        self.memory = LeastRecentlyUsed(
            config.code + self.labels, self.labels, config.row, units=config.units, heads=config.heads,
            slots=config.slots, width=config.width, generator=generator,
        )  # fmt: skip

    def hidden_size(self, spec: WorldSpec) -> int:
        return self.memory.hidden_size

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        return self.memory.begin(len(task.row_BP))

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        code_BE = self.code(self.encoder(channel(seen, PICTURE), task.row_BP).flatten(1))
        said = self.memory.conditioning(task.row_BP)
        logits_BW, hidden = self.memory(self.read(task, seen, code_BE), said, self.memory.unpacked(hidden_BH))
        log_BW = logits_BW.log_softmax(1)
        return StepOutput(named(log_BW, draw), packed(hidden), {"log_BW": log_BW})

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All pictures are encoded at once."""
        steps = episodes.seen[:-1]
        code_TBE = self.code(encoded(self.encoder, shown(episodes), task.row_BP))
        said, hidden = self.memory.conditioning(task.row_BP), self.memory.unpacked(hidden_BH)
        found = list[torch.Tensor]()
        for seen, code_BE in zip(steps, code_TBE, strict=True):
            logits_BW, hidden = self.memory(self.read(task, seen, code_BE), said, hidden)
            found.append(logits_BW.log_softmax(1))
        return with_likelihood(torch.stack(found), episodes)

    def read(self, task: TaskInput, seen: Observation, code_BE: torch.Tensor) -> torch.Tensor:
        """input_BI of the controller: the picture, and the label told of the last one (none: zeros)."""
        told_B = told(task.spec, seen)
        label_BW = told_B[:, None] == torch.arange(self.labels, device=told_B.device)
        return torch.cat([code_BE, label_BW.to(code_BE.dtype)], 1)


def labels(spec: WorldSpec) -> int:
    """W: the labels that the first primitive of a world takes."""
    return len(spec.primitives[0].slots[0].tokens)


def told(spec: WorldSpec, seen: Observation) -> torch.Tensor:
    """label_B of the last picture, from 0; -1 where none was told."""
    return seen.fields_BF[:, spec.field(TOLD)] - 1


def channel(seen: Observation, name: str) -> torch.Tensor:
    found = seen.channels[name]
    assert isinstance(found, torch.Tensor)
    return found


def ragged(seen: Observation, name: str) -> Ragged:
    found = seen.channels[name]
    assert isinstance(found, Ragged)
    return found


def shown(episodes: Episodes) -> torch.Tensor:
    """picture_TBSS: what was seen before each action."""
    return torch.stack([channel(seen, PICTURE) for seen in episodes.seen[:-1]])


def encoded(encoder: DrawingEncoder, picture_TBSS: torch.Tensor, row_BP: torch.Tensor) -> torch.Tensor:
    """map_TBD of pictures, all at once."""
    T, B = picture_TBSS.shape[:2]
    row_NP = row_BP.expand(T, -1, -1).flatten(0, 1)
    return encoder(picture_TBSS.flatten(0, 1), row_NP).flatten(1).unflatten(0, (T, B))


def named(log_BW: torch.Tensor, draw: Draw | None) -> Action:
    """The call of the first primitive with the likeliest label, or with one by likelihood where numbers are drawn."""
    call_B4 = torch.zeros(len(log_BW), 1 + SLOTS, dtype=torch.int64, device=log_BW.device)
    call_B4[:, 1] = 1 + choice(log_BW.exp(), draw)
    return Action(call_B4)


def with_likelihood(log_TBW: torch.Tensor, episodes: Episodes) -> dict[str, torch.Tensor]:
    """What ``unroll`` gives."""
    if episodes.actions is None:
        return {"log_BW": log_TBW}
    label_TB1 = torch.stack([action.call_B4[:, 1:2] for action in episodes.actions]) - 1
    return {"log_BW": log_TBW, "log_likelihood": log_TBW.gather(2, label_TB1)[..., 0]}
