"""Recordings that are predicted sample by sample, and texts that are spoken so (van den Oord et al. 2016).

An episode is a stretch of a recording of one voice. ``SAMPLE`` names the code of the next sample, and as its payload
how likely each code is; the world then shows the true code, so what is scored is the prediction, in bits. Where sounds
are given (``phones``) there is no recording: the code that was named is the one that is shown next, and this is speech.

Shape legend: ``B`` instances, ``T`` samples of an episode, ``L`` frames of it, ``F`` features of a frame, ``X`` codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from envs.episodic.trials import EPISODE, EpisodeState, Trials, digits, episode_number
from envs.settings import laid_value, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.speech.audio import CODES, RATE, SILENCE
from envs.speech.corpus import SPLITS, Corpus
from envs.speech.data import corpus
from envs.speech.phones import FEATURES, FRAMES
from envs.stepper import Action, Observation, Ragged
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given, Layout, check_given

KIND = "speech"

PHONES = "phones"
"""The channel: the sounds that are said, frame by frame."""

LAST, DONE = 0, 1
"""The fields: the code of the last sample, and whether there are no more."""

VOICE = Field("VOICE", tuple(map(str, range(10))))
"""The hidden part that says whose recording it is, as decimal digits: 1 is the first voice of the data."""

SPLIT = Field("SPLIT", SPLITS)


@dataclass(frozen=True)
class SpeechConfig:
    """The settings of ``speech(…)`` in a program file.

    Attributes:
        data: a name that is bound to a folder of voices, or a prepared file, when a command is run.
        rate: samples a second. steps: T, samples of an episode; fewer where a recording is shorter.
        seconds: how much of a voice's recordings for training is used; 0: all of it.
    """

    data: str = "voices"
    rate: int = RATE
    steps: int = 4000
    seconds: float = 0.0

    def __post_init__(self) -> None:
        within(KIND, "rate", self.rate, 1000, 48_000)
        within(KIND, "steps", self.steps, 1, 1_000_000)
        within(KIND, "seconds", self.seconds, 0, 1e6)
        if self.rate % FRAMES or self.steps % (self.rate // FRAMES):
            raise SpecError(
                f"the setting rate of {KIND} is {self.rate}, and steps {self.steps}; a frame has rate / {FRAMES} "
                "samples, and rate and steps have to be whole numbers of frames"
            )


@dataclass
class SpeechState(EpisodeState):
    """A batch of episodes.

    Attributes:
        voice_B, split_B: int64, from 1, and an index of :data:`SPLITS`.
        step_B, count_B: int64, samples so far and of the whole episode. last_B: int64, the code that is shown.
        bits_B: float32, what the last sample took by the prediction of it; keeps a graph.
        known_B: bool, whether there is a recording. code_BT: uint8, its codes.
        frame_BLF: float32, the features of its frames.
    """

    voice_B: torch.Tensor
    split_B: torch.Tensor
    step_B: torch.Tensor
    count_B: torch.Tensor
    last_B: torch.Tensor
    bits_B: torch.Tensor
    known_B: torch.Tensor
    code_BT: torch.Tensor
    frame_BLF: torch.Tensor

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order, without a graph."""
        with torch.no_grad():
            return super().select(index_B)


@dataclass(frozen=True)
class Crop:
    """What an episode's number stands for: its codes with the one before them, and the features of its frames."""

    before: int
    code_T: np.ndarray
    frame_LF: np.ndarray


class Speech(Trials[SpeechState]):
    """The world (implements ``World[SpeechState]``, ``Scored``, ``Ending``, ``Demonstrated``, ``Drawn``).

    Args:
        data: recordings by the name of their data, in place of those that are bound.
    """

    scores: Mapping[str, bool] = MappingProxyType({"bits": False})

    def __init__(
        self, name: str, config: SpeechConfig | Mapping[str, Any], *, data: Mapping[str, Corpus] | None = None
    ) -> None:
        self.config = config if isinstance(config, SpeechConfig) else read_settings(SpeechConfig, config, KIND)
        self.spec = _spec(name, self.config)
        self._given = dict(data or {})
        self._frames: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}

    # --- the recordings ----------------------------------------------------------------------------------------------

    @property
    def corpus(self) -> Corpus:
        """Of the data; ``ValueError`` where it is bound to nothing, or has another rate."""
        if self.config.data not in self._given:
            self._given[self.config.data] = corpus(self.config.data, self.config.rate)
        found = self._given[self.config.data]
        if found.rate != self.config.rate:
            raise ValueError(
                f"world {self.spec.name} has {self.config.rate} samples a second, and the voices {self.config.data} "
                f"have {found.rate}"
            )
        return found

    def recordings(self, voice: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The recordings of a voice (from 1) in a split, and where each ends among the frames of all of them.

        For training the last one is cut where ``seconds`` are reached. Raises ``ValueError`` for a voice that the data
        do not have.
        """
        if (voice, split) not in self._frames:
            found = self.corpus
            if not 1 <= voice <= len(found.voices):
                raise ValueError(
                    f"world {self.spec.name}: VOICE is {voice}, and the voices {self.config.data} have "
                    f"{len(found.voices)}; give 1 to {len(found.voices)} (npi voices list)"
                )
            numbers = found.recordings(voice - 1, split)
            end = np.cumsum((found.end_U - found.start_U)[numbers] // found.step)
            if split == "train" and self.config.seconds:
                most = max(1, round(self.config.seconds * FRAMES))
                kept = int(np.searchsorted(end, most)) + 1
                numbers, end = numbers[:kept], np.minimum(end[:kept], most)
            self._frames[voice, split] = numbers, end
        return self._frames[voice, split]

    def crop(self, number: int, voice: int, split: str) -> Crop:
        """What an episode is about: a function of its number, its voice and split; each frame is as likely."""
        numbers, end = self.recordings(voice, split)
        found, wanted = self.corpus, self.config.steps // self.corpus.step
        draw = np.random.default_rng([SPLITS.index(split), number])
        place = int(draw.integers(end[-1]))
        which = int(np.searchsorted(end, place, "right"))
        begin = int(end[which - 1]) if which else 0
        length = int(end[which]) - begin
        first = max(0, min(place - begin, length - wanted))
        last = min(length, first + wanted)
        code_T = found.codes(int(numbers[which]))
        before = int(code_T[first * found.step - 1]) if first else SILENCE
        frame_LF = found.frames(int(numbers[which]))[first:last]
        return Crop(before, code_T[first * found.step : last * found.step], frame_LF)

    # --- the world ---------------------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Field, ...]:
        return EPISODE, VOICE, SPLIT

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> SpeechState:
        """Episodes by their numbers, voices and splits.

        Args:
            given: ``phones``, B × L × F, in place of recordings.
        """
        check_given(self.spec, given, len(layouts))
        if not given:
            return super().reset(layouts, device=device)
        frame_BLF = given[PHONES].to(device).float()
        if frame_BLF.dim() != 3 or frame_BLF.shape[2] != len(FEATURES) or not frame_BLF.shape[1]:
            raise ValueError(
                f"world {self.spec.name}: phones of the shape {tuple(frame_BLF.shape)} are given; give B x L x "
                f"{len(FEATURES)}"
            )
        numbers = [self.laid(number, layout) for number, layout in enumerate(layouts)]
        laid_BX = torch.tensor(numbers, dtype=torch.int64, device=device).view(len(layouts), 3)
        count = frame_BLF.shape[1] * (self.config.rate // FRAMES)
        none_BT = torch.full((len(layouts), 1), SILENCE, dtype=torch.uint8, device=device)
        return self._state(laid_BX, torch.full_like(laid_BX[:, 0], count), none_BT[:, 0], none_BT, frame_BLF, False)

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        voice = episode_number(number, layout, VOICE.name) if VOICE.name in layout else 1
        return episode_number(number, layout), voice, laid_value(number, layout, SPLIT, 0)

    def begun(self, laid_BX: torch.Tensor) -> SpeechState:
        crops = [self.crop(number, voice, SPLITS[split]) for number, voice, split in laid_BX.tolist()]
        device = laid_BX.device
        longest = max((len(crop.frame_LF) for crop in crops), default=1)
        code_BT = np.full((len(crops), longest * (self.config.rate // FRAMES)), SILENCE, np.uint8)
        frame_BLF = np.zeros((len(crops), longest, len(FEATURES)), np.float32)
        for place, crop in enumerate(crops):
            code_BT[place, : len(crop.code_T)] = crop.code_T
            frame_BLF[place, : len(crop.frame_LF)] = crop.frame_LF
        count_B = torch.tensor([len(crop.code_T) for crop in crops], dtype=torch.int64, device=device)
        before_B = torch.tensor([crop.before for crop in crops], dtype=torch.uint8, device=device)
        codes, features = torch.from_numpy(code_BT).to(device), torch.from_numpy(frame_BLF).to(device)
        return self._state(laid_BX, count_B, before_B, codes, features, True)

    def _state(
        self, laid_BX: torch.Tensor, count_B: torch.Tensor, before_B: torch.Tensor, code_BT: torch.Tensor,
        frame_BLF: torch.Tensor, known: bool,
    ) -> SpeechState:  # fmt: skip
        episode_B, voice_B, split_B = (part.contiguous() for part in laid_BX.unbind(1))
        none_B = torch.zeros(len(laid_BX), device=laid_BX.device)
        return SpeechState(
            episode_B, voice_B, split_B, torch.zeros_like(episode_B), count_B, before_B.long(), none_B,
            torch.full_like(none_B, known, dtype=torch.bool), code_BT, frame_BLF,
        )  # fmt: skip

    def observe(self, state: SpeechState) -> Observation:
        fields_BF = torch.stack([state.last_B, self.ended(state).long()], 1)
        return Observation(fields_BF, {PHONES: self._phones(state)})

    def _phones(self, state: SpeechState) -> Ragged:
        return Ragged(state.frame_BLF, state.count_B // (self.config.rate // FRAMES))

    def act(self, state: SpeechState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action) & ~self.ended(state)
        at_B1 = state.step_B[:, None].clamp(max=state.code_BT.shape[1] - 1)
        said_B = action.call_B4[:, 1] - 1
        next_B = torch.where(state.known_B, state.code_BT.gather(1, at_B1)[:, 0].long(), said_B)
        bits_B = torch.where(acts_B, self._bits(action, next_B) * state.known_B, state.bits_B)
        if bits_B.requires_grad or state.bits_B.requires_grad:
            state.bits_B = bits_B
        else:
            state.bits_B.copy_(bits_B)
        state.last_B.copy_(torch.where(acts_B, next_B, state.last_B))
        state.step_B.add_(acts_B.long())

    def _bits(self, action: Action, next_B: torch.Tensor) -> torch.Tensor:
        """float32 B: minus the binary logarithm of what is predicted for a code; without a prediction all are alike."""
        even_B = torch.full((len(next_B),), math.log2(CODES), device=next_B.device)
        if action.payload_BX is None:
            return even_B
        log_BX = action.payload_BX.log_softmax(1)
        bits_B = -log_BX.gather(1, next_B[:, None].clamp(min=0))[:, 0] / math.log(2)
        return bits_B if action.given_B is None else torch.where(action.given_B, bits_B, even_B)

    def ended(self, state: SpeechState) -> torch.Tensor:
        return state.step_B >= state.count_B

    def score(self, state: SpeechState) -> dict[str, torch.Tensor]:
        """The bits of the last sample; 0 where there is no recording, and before the first."""
        return {"bits": (state.bits_B if torch.is_grad_enabled() else state.bits_B.detach()).clone()}

    def detach(self, state: SpeechState) -> None:
        state.bits_B = state.bits_B.detach().clone()

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The recording of each episode, sample by sample; a layout stands for one, so nothing is drawn."""
        state = self.reset(layouts, device=generator.device)
        code_TB = state.code_BT.T.long()
        T, B = code_TB.shape
        live_TB = torch.arange(T, device=state.device)[:, None] < state.count_B
        ended_TB = live_TB & (torch.arange(1, T + 1, device=state.device)[:, None] >= state.count_B)
        last_JB = torch.cat([state.last_B[None], code_TB])
        kept_B = (
            torch.arange(T + 1, device=state.device)[:, None] <= state.count_B
        )  # nothing new is shown after the end
        final_B = code_TB.gather(0, (state.count_B - 1)[None])
        last_JB = torch.where(kept_B, last_JB, final_B)
        done_JB = torch.cat([torch.zeros_like(ended_TB[:1]), ended_TB]).cummax(0).values
        channels = {PHONES: self._phones(state)}
        field_JBF = torch.stack([last_JB, done_JB.long()], 2)
        call_TB4 = torch.zeros(T, B, 4, dtype=torch.int64, device=state.device)
        call_TB4[:, :, 1] = code_TB + 1
        return Episodes(
            seen=[Observation(fields_BF, channels) for fields_BF in field_JBF.unbind(0)],
            actions=[Action(call_B4) for call_B4 in call_TB4.unbind(0)],
            scores={"bits": torch.zeros(T, B, device=state.device)},
            live_TB=live_TB,
            ended_TB=ended_TB,
        )

    def hidden(self, state: SpeechState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.voice_B, state.split_B], 1).tolist()
        return [(digits(episode), digits(voice), [split]) for episode, voice, split in laid]

    def draw(self, state: SpeechState, instance: int = 0, *, width: int = 100) -> str:
        """The sounds of an episode, and how far it has come."""
        from envs.speech.drawing import drawing  # what only people see

        count, step = int(state.count_B[instance]), self.config.rate // FRAMES
        code_T = state.code_BT[instance, :count].cpu().numpy() if bool(state.known_B[instance]) else None
        frame_LF = state.frame_BLF[instance, : count // step].cpu().numpy()
        return drawing(code_T, frame_LF, int(state.step_B[instance]) / max(1, count), width)


def _spec(name: str, config: SpeechConfig) -> WorldSpec:
    codes = tuple(map(str, range(CODES)))
    slot = Slot("code", tuple(range(1, CODES + 1)))
    likely = Channel("log_probability", (CODES,), unit="nat")
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("LAST", codes), Field("DONE", ("no", "yes"))),
        tokens=(NONE, *codes),
        channels=(Channel(PHONES, (None, len(FEATURES)), per="episode"),),
        primitives=(Signature("SAMPLE", (slot,), "Say the next sample, and how likely each code is", likely),),
        hidden=(EPISODE, VOICE, SPLIT),
    )
