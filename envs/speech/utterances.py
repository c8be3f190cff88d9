"""Words that programs say one after the other: ``WORD`` lays one out, and a learned program says it.

A program with a body names the word (``WORD("7")``); the world then shows the sounds of it, frame by frame, as
:mod:`envs.speech.world` shows those of a text. ``SOUND`` is a whole utterance: its payload are the codes of all
samples. What was said stays, in order, to be heard at the end (:meth:`Utterances.heard`). A ``SOUND`` without a
payload, as bodies call it, is silence as long as the word.

Nothing is scored: there is no recording to predict. A row that learned a voice is taken as it is.

Shape legend: ``B`` instances, ``W`` words, ``U`` utterances, ``T`` samples of one, ``L`` frames, ``F`` features of a
frame.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from envs.episodic.trials import EpisodeState, Trials
from envs.settings import laid_value, one_of, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.speech.audio import CODES, RATE, SILENCE, Sound, decode
from envs.speech.phones import FEATURES, FRAMES, Phone
from envs.speech.reading import Speech, in_a_row, text_frames
from envs.stepper import Action, LazyChannels, Observation, Ragged
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "utterances"

PHONES = "phones"
"""The channel: the sounds of the word that is laid out, frame by frame; empty where there is none."""

SOUND, WORD = 0, 1
"""The callees."""

WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"digits": tuple(string.digits), "letters": tuple(string.ascii_lowercase)}
)
"""What the setting ``words`` can name."""


@dataclass(frozen=True)
class UtterancesConfig:
    """The settings of ``utterances(…)`` in a program file.

    Attributes:
        words: which ones can be said (:data:`WORDS`). language: of espeak-ng, which says how they sound.
        rate: samples a second. steps: T, samples of an utterance, at most. utterances: U; what comes after is lost.
    """

    words: str = "digits"
    language: str = "en-us"
    rate: int = RATE
    steps: int = 8000
    utterances: int = 24

    def __post_init__(self) -> None:
        one_of(KIND, "words", self.words, list(WORDS))
        within(KIND, "rate", self.rate, 1000, 48_000)
        within(KIND, "steps", self.steps, 1, 1_000_000)
        within(KIND, "utterances", self.utterances, 1, 1000)
        if self.rate % FRAMES:
            raise SpecError(f"the setting rate of {KIND} is {self.rate}; give a multiple of {FRAMES}")


@dataclass
class UtterancesState(EpisodeState):
    """A batch of episodes.

    Attributes:
        episode_B: int64, the word that was laid out when they began; as all words from 1, 0 for none.
        word_B: int64, the one that is laid out. count_B: int64, utterances so far.
        said_BU: int64, their words. code_BUT: uint8, their codes; silence behind their ends.
    """

    word_B: torch.Tensor
    count_B: torch.Tensor
    said_BU: torch.Tensor
    code_BUT: torch.Tensor


class Utterances(Trials[UtterancesState]):
    """The world (implements ``World[UtterancesState]``, ``Scored``, ``Ending``, ``Audible``, ``Drawn``)."""

    scores: Mapping[str, bool] = MappingProxyType({"bits": False})

    def __init__(self, name: str, config: UtterancesConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, UtterancesConfig) else read_settings(UtterancesConfig, config, KIND)
        self.words = WORDS[self.config.words]
        self.spec = _spec(name, self.config)

    # --- the words ---------------------------------------------------------------------------------------------------

    def reading(self, word: int) -> tuple[torch.Tensor, tuple[Phone, ...]]:
        """frame_LF and the phones of a word (from 1).

        Raises ``ValueError`` where espeak-ng is missing, and for a word that takes more samples than an utterance has.
        """
        config = self.config
        frame_LF, phones = word_frames(self.words[word - 1], config.rate, config.language)
        count = len(frame_LF) * self.samples
        if count > config.steps:
            raise ValueError(
                f"world {self.spec.name}: {self.words[word - 1]!r} takes {count} samples, and an utterance has "
                f"{config.steps}; declare steps: {count}"
            )
        return frame_LF, phones

    @property
    def samples(self) -> int:
        """Of a frame."""
        return self.config.rate // FRAMES

    def _phones(self, state: UtterancesState) -> Ragged:
        """The frames of each instance's word."""
        none_LF = torch.zeros(0, len(FEATURES))
        each = [self.reading(word)[0] if word else none_LF for word in state.word_B.tolist()]
        lengths_B = torch.tensor([len(frame_LF) for frame_LF in each], device=state.device)
        padded_BLF = torch.zeros(len(each), max(1, *map(len, each), 0), len(FEATURES))
        for place, frame_LF in enumerate(each):
            padded_BLF[place, : len(frame_LF)] = frame_LF
        return Ragged(padded_BLF.to(state.device), lengths_B)

    # --- the world ---------------------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:1]

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        (text,) = self.parts
        return (1 + laid_value(number, layout, text, -1) if layout else 0,)

    def begun(self, laid_BX: torch.Tensor) -> UtterancesState:
        first_B = laid_BX[:, 0].contiguous()
        config, batch = self.config, len(laid_BX)
        code_BUT = torch.full((batch, config.utterances, config.steps), SILENCE, dtype=torch.uint8)
        return UtterancesState(
            first_B, first_B.clone(), torch.zeros_like(first_B), first_B.new_zeros(batch, config.utterances),
            code_BUT.to(laid_BX.device),
        )  # fmt: skip

    def observe(self, state: UtterancesState) -> Observation:
        word_B = state.word_B.clone()  # a channel that is read later is that of now
        now = UtterancesState(**{**vars(state), "word_B": word_B})
        return Observation(word_B[:, None], LazyChannels({PHONES: lambda: self._phones(now)}))

    def act(self, state: UtterancesState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        callee_B, token_B, *_ = action.call_B4.unbind(1)
        says_B = acts_B & (callee_B == SOUND) & (state.word_B > 0)
        self._say(state, action, says_B & (state.count_B < self.config.utterances))
        state.word_B.copy_(torch.where(says_B, 0, torch.where(acts_B & (callee_B == WORD), token_B, state.word_B)))

    def _say(self, state: UtterancesState, action: Action, says_B: torch.Tensor) -> None:
        """Keep the word and, where they are given, the codes of an utterance."""
        place_B1 = state.count_B[:, None].clamp(max=self.config.utterances - 1)
        word_B1 = torch.where(says_B[:, None], state.word_B[:, None], state.said_BU.gather(1, place_B1))
        state.said_BU.scatter_(1, place_B1, word_B1)
        if action.payload_BX is not None:
            given_B = says_B if action.given_B is None else says_B & action.given_B
            code_MT = action.payload_BX[given_B, : self.config.steps].detach().round().clamp(0, CODES - 1)
            state.code_BUT[given_B, place_B1[given_B, 0]] = code_MT.to(torch.uint8)
        state.count_B.add_(says_B.long())

    def legal(self, action: Action) -> torch.Tensor:
        callee_B, word_B, *rest = action.call_B4.unbind(1)
        names_B = (callee_B == WORD) & (word_B >= 1) & (word_B <= len(self.words))
        return ((callee_B == SOUND) & (word_B == 0) | names_B) & (rest[0] == 0) & (rest[1] == 0)

    def ended(self, state: UtterancesState) -> torch.Tensor:
        """Where no word is laid out: a learned program returns."""
        return state.word_B == 0

    def score(self, state: UtterancesState) -> dict[str, torch.Tensor]:
        """0: there is no recording."""
        return {"bits": torch.zeros(state.batch, device=state.device)}

    # --- what was said -----------------------------------------------------------------------------------------------

    def heard(self, state: UtterancesState, instance: int = 0) -> Speech | None:
        """What was said, one utterance after the other; None where nothing was (implements ``envs.world.Audible``)."""
        count = int(state.count_B[instance])
        found = []
        for word, code_T in zip(state.said_BU[instance, :count].tolist(), state.code_BUT[instance], strict=False):
            frame_LF, phones = self.reading(word)
            sample_T = decode(code_T[: len(frame_LF) * self.samples].cpu().numpy())
            found.append(Speech(self.words[word - 1], Sound(sample_T, self.config.rate), phones))
        return in_a_row(found) if found else None

    def hidden(self, state: UtterancesState) -> Sequence[tuple[Sequence[int], ...]]:
        return [
            ([first - 1] * bool(first), [word - 1 for word in said_U[:count]])
            for first, said_U, count in zip(
                state.episode_B.tolist(), state.said_BU.tolist(), state.count_B.tolist(), strict=True
            )
        ]

    def draw(self, state: UtterancesState, instance: int = 0, *, width: int = 100) -> str:
        """The words that were said, and the one that is to be said."""
        said = [self.words[word - 1] for word in state.said_BU[instance, : int(state.count_B[instance])].tolist()]
        word = int(state.word_B[instance])
        lines = ["said: " + (" ".join(said) or "nothing"), "next: " + (self.words[word - 1] if word else "nothing")]
        return "\n".join(line if len(line) <= width else "…" + line[1 - width :] for line in lines)


@lru_cache(maxsize=256)
def word_frames(word: str, rate: int, language: str) -> tuple[torch.Tensor, tuple[Phone, ...]]:
    """:func:`envs.speech.reading.text_frames`, each read once."""
    return text_frames(word, rate, language=language)


def _spec(name: str, config: UtterancesConfig) -> WorldSpec:
    words = WORDS[config.words]
    slot = Slot("word", tuple(range(1, len(words) + 1)))
    codes = Channel("codes", (config.steps,), low=0, high=CODES - 1)
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(Field("WORD", ("none", *words)),),
        tokens=(NONE, *words),
        channels=(Channel(PHONES, (None, len(FEATURES))),),
        primitives=(
            Signature("SOUND", (), "Say the word that is laid out, all samples at once", codes),
            Signature("WORD", (slot,), "Lay out the word that is said next", setup=True),
        ),
        hidden=(Field("TEXT", words), Field("SPOKEN", words)),
    )
