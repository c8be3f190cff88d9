"""Connection information distribution: modules whose connections are set while they run (McClelland 1985, "Putting
knowledge in its place", Cognitive Science 9; Rumelhart, McClelland & the PDP group 1986, chapter 16).

One store of letter-to-word connections serves any number of modules. The letters of all modules are pooled in it; the
words that fit the pool activate their connections *in every module*, and each module then reads its own letters by the
connections that it was lent. A module has far fewer units than the store has words: each word is a random pattern over
them, and what a word programs are the connections of its letters to the units of its pattern.

Letter-to-word inhibition is 4/7 of excitation, as in the interactive activation model (McClelland & Rumelhart 1981,
table 1: 0.04 and 0.07).

Shape legend: ``B`` displays, ``M`` modules, ``P`` positions in a word, ``A`` letters of the alphabet, ``L`` = P x A
letter units, ``W`` words of the store, ``U`` units of a module,
``K`` words whose connections are active.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from envs.settings import within
from meta.connection_information.lexicon import LETTER_UNITS, Lexicon, one_hot


@dataclass(frozen=True)
class ModulesConfig:
    """How a store programs modules. The defaults were chosen on validation pairs (``benchmarks.learners``).

    Attributes:
        units: U. pattern: how many of them stand for a word.
        temperature: of the softmax that makes letter activations of evidence.
        inhibition: of words by letters that they do not have, as a share of excitation by those they have.
        threshold: support from which a word's connections are active. full: how much further they are at full strength.
        competition: among the units of a module. rest: support of a unit at which silence is as likely.
        feedback: from units to letters, in units of evidence over temperature.
    """

    units: int = 160
    pattern: int = 6
    temperature: float = 0.06
    inhibition: float = 4 / 7
    threshold: float = 0.0
    full: float = 0.8
    competition: float = 3.0
    rest: float = 1.8
    feedback: float = 4.0

    def __post_init__(self) -> None:
        what = "modules"
        within(what, "units", self.units, 1, 100_000)
        within(what, "pattern", self.pattern, 1, self.units)
        within(what, "temperature", self.temperature, 1e-3, 1e3)
        within(what, "full", self.full, 1e-3, 1e3)


def evidence(displays: list[tuple[str, ...]], noise: float, *, generator: torch.Generator) -> torch.Tensor:
    """float32 B x M x P x A: 1 at the letters that are shown, with normal noise; more of it is a shorter exposure."""
    shown_BMPA = torch.stack([one_hot(display) for display in displays])
    return shown_BMPA + noise * torch.randn(shown_BMPA.shape, generator=generator)


class Reading(NamedTuple):
    """What modules read.

    Attributes:
        code_BMP: int64, the letters reported, as places in the alphabet.
        strength_BW: float32, how far the connections of each word were active, 0 to 1.
    """

    code_BMP: torch.Tensor
    strength_BW: torch.Tensor


@final
class ProgrammedModules:
    """A store, and modules that have no words of their own.

    Args:
        generator: of the patterns of words.
    """

    def __init__(self, lexicon: Lexicon, config: ModulesConfig | None = None, *, generator: torch.Generator) -> None:
        self.lexicon, self.config = lexicon, config or ModulesConfig()
        drawn_WU = torch.rand(len(lexicon), self.config.units, generator=generator)
        chosen_WK = drawn_WU.argsort(1)[:, : self.config.pattern]
        self.pattern_WU = torch.zeros_like(drawn_WU).scatter_(1, chosen_WK, 1.0)

    def read(self, evidence_BMPA: torch.Tensor) -> Reading:
        """Pool, program, read."""
        letter_BML = activations(evidence_BMPA, self.config)
        strength_BW = self.strengths(letter_BML.sum(1).clamp(max=1))
        weight_BLU = self.program(strength_BW)
        support_BMU = letter_BML @ weight_BLU
        rest = self.config.rest + math.log(self.config.pattern) / self.config.competition
        unit_BMU = competed(support_BMU, rest, self.config.competition)
        return Reading(reported(evidence_BMPA, unit_BMU @ weight_BLU.mT, self.config), strength_BW)

    def strengths(self, pool_BL: torch.Tensor) -> torch.Tensor:
        """strength_BW: how far the connections of each word are active, by the letters that are in the pool."""
        support_BW = word_support(self.lexicon, pool_BL, self.config)
        return ((support_BW - self.config.threshold) / self.config.full).clamp(0, 1)

    def program(self, strength_BW: torch.Tensor) -> torch.Tensor:
        """weight_BLU: what the connections of every module are set to; those of a word that is not active are 0."""
        active_BK, word_BK = strength_BW.topk(max(1, int((strength_BW > 0).sum(1).max())))
        letter_BKL, pattern_BKU = self.lexicon.letters_WL[word_BK], self.pattern_WU[word_BK]
        return (letter_BKL * active_BK[..., None]).mT @ pattern_BKU


@final
class OwnCopies:
    """Modules that each have all letter-to-word connections for themselves, and pool nothing: the control."""

    def __init__(self, lexicon: Lexicon, config: ModulesConfig | None = None) -> None:
        self.lexicon, self.config = lexicon, config or ModulesConfig()

    def read(self, evidence_BMPA: torch.Tensor) -> Reading:
        """Every module by its own words, which are competitors as the units of programmed modules are."""
        config = self.config
        support_BMW = word_support(self.lexicon, activations(evidence_BMPA, config), config)
        # Letters of a position sum to 1, so support is linear in the letters that fit: on the scale of the modules.
        fit_BMW = (support_BMW + config.inhibition * evidence_BMPA.shape[2]) / (1 + config.inhibition)
        word_BMW = competed(fit_BMW, config.rest, config.competition)
        strength_BW = torch.ones(len(evidence_BMPA), len(self.lexicon))
        return Reading(reported(evidence_BMPA, word_BMW @ self.lexicon.letters_WL, config), strength_BW)


def read_letters(evidence_BMPA: torch.Tensor) -> torch.Tensor:
    """code_BMP: the likeliest letters without any words, the other control."""
    return evidence_BMPA.argmax(3)


def activations(evidence_BMPA: torch.Tensor, config: ModulesConfig) -> torch.Tensor:
    """letter_BML: letters of a position compete for an activation of 1."""
    return (evidence_BMPA / config.temperature).softmax(3).flatten(2)


def word_support(lexicon: Lexicon, letter_XL: torch.Tensor, config: ModulesConfig) -> torch.Tensor:
    """support_XW: excitation by the letters that a word has, less inhibition by all others."""
    fit_XW = letter_XL @ lexicon.letters_WL.T
    return fit_XW - config.inhibition * (letter_XL.sum(-1, keepdim=True) - fit_XW)


def competed(support_XU: torch.Tensor, rest: float, competition: float) -> torch.Tensor:
    """float32 X x U: shares of an activation of 1, of which silence, with the support ``rest``, has one, too."""
    silent_X1 = torch.full_like(support_XU[..., :1], rest)
    return (competition * torch.cat([support_XU, silent_X1], -1)).softmax(-1)[..., :-1]


def reported(evidence_BMPA: torch.Tensor, feedback_BML: torch.Tensor, config: ModulesConfig) -> torch.Tensor:
    """code_BMP: in each position the letter with the most evidence and feedback together."""
    feedback_BMPA = feedback_BML.view_as(evidence_BMPA)
    return (evidence_BMPA / config.temperature + config.feedback * feedback_BMPA).argmax(3)


class Connections(NamedTuple):
    """Letter-to-word connections that are built, for so many modules; one that runs both ways counts once."""

    programmed: int
    own: int


def connections(words: int, config: ModulesConfig, modules: int = 2) -> Connections:
    """Of programmable modules with their store, and of modules that each have a copy of the store.

    A store connects every letter unit to every word, by excitation or inhibition. Beside it the programmed modules need
    a connection activation unit for each of a module's connections: lines to it from each word that uses it (its
    letters times the units of its pattern), and to the connection in each module; and these connections themselves.
    """
    store = LETTER_UNITS * words
    lines = (LETTER_UNITS // 26) * config.pattern * words
    return Connections(store + lines + modules * 2 * LETTER_UNITS * config.units, modules * store)
