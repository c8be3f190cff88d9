"""What WaveNet and WaveRNN share as cores: a step is the next sample's code, and how likely each code is.

Where words are said (:mod:`envs.speech.utterances`), a step is all samples of one.

Shape legend: ``B`` instances, ``T`` samples, ``L`` frames, ``X`` codes, ``K`` numbers of the conditioning, ``H`` hidden
numbers, ``P`` parameters of a row.
"""

from __future__ import annotations

from abc import abstractmethod
from weakref import WeakKeyDictionary

import torch

from envs.spec import SLOTS, WorldSpec
from envs.speech import utterances
from envs.speech.phones import FRAMES
from envs.speech.world import LAST, PHONES
from envs.stepper import Action, Observation, Ragged
from envs.stepper import Draw as CountedDraw
from envs.world import Episodes
from meta.speech.conditioning import Conditioner, SpeechConfig, VoiceEncoder
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput

MAX_SAID = 256
"""Words whose codes are kept of a core."""

_SAID: WeakKeyDictionary[SpeechCore, tuple[int, dict[bytes, torch.Tensor]]] = WeakKeyDictionary()
"""By core: the version of its parameters, and codes by seed, row and frames."""

CHUNK = 16
"""Instances that are unrolled side by side where there is no graph, to bound memory."""


class SpeechCore(LearnerCore):
    """The first hidden number of an instance counts its samples; the others are a network's own."""

    samples = True
    config: SpeechConfig

    def __init__(self, config: SpeechConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.conditioner = Conditioner(config, generator=generator)
        self.encoder = VoiceEncoder(config, generator=generator)

    # --- a network's own ---------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Numbers that the network carries from sample to sample."""

    @abstractmethod
    def advance(
        self, last_B: torch.Tensor, condition_BK: torch.Tensor, row_BP: torch.Tensor, state_BS: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """log_BX of the next code, and the state after the last one was read."""

    @abstractmethod
    def choose(self, log_BX: torch.Tensor, draw: Draw) -> torch.Tensor:
        """int64 B: codes by their likelihoods."""

    @abstractmethod
    def parallel(
        self, last_BT: torch.Tensor, next_BT: torch.Tensor, condition_BLK: torch.Tensor, row_BP: torch.Tensor,
        state_BS: torch.Tensor, step: int,
    ) -> torch.Tensor:  # fmt: skip
        """float32 B × T: the log-likelihood of given codes by those before them, all at once.

        Args:
            step: samples of a frame.
        """

    # --- the seam ----------------------------------------------------------------------------------------------------

    def hidden_size(self, spec: WorldSpec) -> int:
        return 0 if says_words(spec) else 1 + self.state_size

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        """Zeros; raises ``ValueError`` for a world of another rate."""
        rate, own = task.spec.config["rate"], self.config.sampling_rate
        if rate != own:
            raise ValueError(
                f"world {task.spec.name} has {rate} samples a second, and this core speaks {own}; "
                f"declare rate: {own}, or train a core with --set sampling_rate={rate}"
            )
        return super().begin(task, given)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        if says_words(task.spec):
            return StepOutput(self.utter(task, seen, draw.seed if isinstance(draw, CountedDraw) else 0), hidden_BH)
        count_B = hidden_BH[:, 0].round()
        place_B = torch.div(count_B, task.spec.config["rate"] // FRAMES, rounding_mode="floor").long()
        condition_BK = self.conditioner.at(*phones(seen), place_B, task.row_BP)
        log_BX, state_BS = self.advance(seen.fields_BF[:, LAST], condition_BK, task.row_BP, hidden_BH[:, 1:])
        code_B = log_BX.argmax(1) if draw is None else self.choose(log_BX, draw)
        call_B4 = code_B.new_zeros(len(code_B), 1 + SLOTS)
        call_B4[:, 1] = code_B + 1
        return StepOutput(Action(call_B4, log_BX), torch.cat([count_B[:, None] + 1, state_BS], 1))

    def utter(self, task: TaskInput, seen: Observation, seed: int) -> Action:
        """All samples of each instance's word, in machine code; what is said depends on word, row and seed alone."""
        frame_BLF, length_B = phones(seen)
        code_BT = torch.zeros(len(frame_BLF), task.spec.payload_width)
        for place, length in enumerate(length_B.tolist()):
            if length:  # else no word is laid out, and the program returns
                code_T = uttered(self, frame_BLF[place, :length], task.row_BP[place], seed)
                code_BT[place, : len(code_T)] = code_T
        call_B4 = torch.tensor([utterances.SOUND] + [0] * SLOTS, device=frame_BLF.device).repeat(len(frame_BLF), 1)
        return Action(call_B4, code_BT.to(frame_BLF.device))

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        assert step.action.payload_BX is not None
        return step.action.payload_BX.gather(1, action.call_B4[:, 1:2] - 1)[:, 0]

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All samples at once, from the first frame of an episode."""
        last_BT = torch.stack([seen.fields_BF[:, LAST] for seen in episodes.seen[:-1]], 1)
        next_BT = codes(episodes)
        frame_BLF, length_B = phones(episodes.seen[0])
        step = task.spec.config["rate"] // FRAMES
        parts = (last_BT, next_BT, frame_BLF, length_B, task.row_BP, hidden_BH[:, 1:])
        pieces = [parts] if torch.is_grad_enabled() else list(zip(*(p.split(CHUNK) for p in parts), strict=True))
        found = []
        for last, following, frame, length, row, state in pieces:
            found.append(self.parallel(last, following, self.conditioner(frame, length, row), row, state, step))
        return {"log_likelihood": torch.cat(found).T}

    def inferred(self, evidence: Episodes) -> torch.Tensor:
        """row_BP of the voices of recordings."""
        live_BT = evidence.live_TB.T
        return self.encoder(codes(evidence) * live_BT, live_BT)


def says_words(spec: WorldSpec) -> bool:
    """Whether a step is a whole utterance, and not a sample."""
    return spec.kind == utterances.KIND


def uttered(core: SpeechCore, frame_LF: torch.Tensor, row_P: torch.Tensor, seed: int) -> torch.Tensor:
    """float32 T: the codes of a word; those that a core has said last are kept as long as its parameters stay."""
    from meta.speech.sampling import speak  # numba takes a second to load

    version = sum(parameter._version for parameter in core.parameters())
    before, kept = _SAID.get(core, (version, {}))
    if before != version or len(kept) >= MAX_SAID:
        kept = {}
    frame_LF, row_P = frame_LF.cpu(), row_P.detach().cpu()
    key = seed.to_bytes(16, "little", signed=True) + row_P.numpy().tobytes() + frame_LF.numpy().tobytes()
    if key not in kept:
        kept[key] = torch.from_numpy(speak(core, frame_LF, row_P, seed=seed).code_T).float()
    _SAID[core] = version, kept
    return kept[key]


def codes(episodes: Episodes) -> torch.Tensor:
    """int64 B × T: what was said."""
    assert episodes.actions is not None
    return torch.stack([action.call_B4[:, 1] for action in episodes.actions], 1) - 1


def phones(seen: Observation) -> tuple[torch.Tensor, torch.Tensor]:
    """frame_BLF, and length_B in frames."""
    found = seen.channels[PHONES]
    assert isinstance(found, Ragged)
    return found


def below(log_BX: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """int64 B: the first index up to which the likelihoods sum to more than a number from 0 to 1."""
    total_BX = log_BX.exp().cumsum(1)
    return (total_BX <= uniform_B[:, None] * total_BX[:, -1:]).sum(1).clamp(max=log_BX.shape[1] - 1)
