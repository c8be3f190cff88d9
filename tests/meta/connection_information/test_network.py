"""Modules that a store programs: connections against plain loops, modules against each other, crossovers and their
absence without pooling."""

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch

from meta.connection_information.displays import DISSIMILAR, NEUTRAL, SIMILAR, Display, displays, outcomes
from meta.connection_information.lexicon import LETTER_UNITS, Lexicon, common_words, letter_codes, spelled
from meta.connection_information.network import (
    ModulesConfig,
    OwnCopies,
    ProgrammedModules,
    activations,
    competed,
    connections,
    evidence,
    read_letters,
)

FEW = Lexicon(("sand", "lane", "land", "sane", "hand", "bolt", "zinc"))


@cache
def validation_displays() -> list[Display]:
    return displays(common_words(), 300, 1000)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def modules(lexicon: Lexicon = FEW, **settings: float) -> ProgrammedModules:
    return ProgrammedModules(lexicon, replace(ModulesConfig(), **settings), generator=seeded())


def test_patterns_have_their_size_and_come_of_the_generator() -> None:
    patterns = modules(common_words()).pattern_WU
    assert patterns.shape == (len(common_words()), 160)
    assert set(patterns.sum(1).tolist()) == {6.0}
    assert torch.equal(patterns, modules(common_words()).pattern_WU)
    other = ProgrammedModules(common_words(), generator=seeded(1)).pattern_WU
    assert not torch.equal(patterns, other)


def test_connections_against_plain_loops() -> None:
    """Each word adds its strength between its letters and the units of its pattern, and nothing anywhere else."""
    network = modules(units=11, pattern=3)
    strength_BW = torch.rand(2, len(FEW), generator=seeded(1)) * torch.tensor([1, 0, 1, 1, 0, 0, 1])
    found = network.program(strength_BW)
    for display in range(2):
        wanted = torch.zeros(LETTER_UNITS, 11)
        for word, strength in zip(range(len(FEW)), strength_BW[display].tolist(), strict=True):
            for place, unit in product(range(4), range(11)):
                letter = 26 * place + letter_codes(FEW.words)[word, place]
                wanted[letter, unit] += strength * network.pattern_WU[word, unit]
        assert torch.allclose(found[display], wanted, atol=1e-6)


def test_strengths_by_hand() -> None:
    """SAND LANE without noise: excitation 4 for LAND, inhibition by S and E; 3 for HAND, by S, L and E."""
    network = modules()
    letter_BML = activations(evidence([("sand", "lane")], 0.0, generator=seeded()), network.config)
    full = network.strengths(letter_BML.sum(1).clamp(max=1))[0]
    by_word = dict(zip(FEW.words, full.tolist(), strict=True))
    assert by_word["sand"] == by_word["lane"] == by_word["land"] == by_word["sane"] == 1
    assert by_word["hand"] == 1  # 3 - 3 x 4/7 = 1.29, and 0.8 is full strength
    assert by_word["bolt"] == by_word["zinc"] == 0
    shown = letter_BML.sum(1).clamp(max=1)
    support = modules(full=100.0).strengths(shown)[0] * 100
    assert support[FEW.index["land"]].item() == pytest.approx(4 - 2 * 4 / 7, abs=1e-3)
    assert support[FEW.index["hand"]].item() == pytest.approx(3 - 3 * 4 / 7, abs=1e-3)


def test_competition_shares_one_with_silence() -> None:
    shares = competed(torch.tensor([[2.0, 1.0]]), 1.5, 3.0)
    weights = torch.tensor([6.0, 3.0, 4.5]).exp()
    assert torch.allclose(shares[0], weights[:2] / weights.sum())


def test_two_words_are_read_side_by_side_where_there_is_no_noise() -> None:
    pairs = [("sand", "bolt"), ("zinc", "hand"), ("bolt", "sand")]
    code_BMP = modules().read(evidence(pairs, 0.0, generator=seeded())).code_BMP
    assert [tuple(spelled(code)) for code in code_BMP] == pairs


def test_displays_of_a_batch_and_modules_do_not_reach_each_other() -> None:
    """A display is read as alone; modules that change places change what they read, and nothing else."""
    network = modules(common_words())
    shown = evidence([("sand", "lane"), ("mile", "bolt"), ("zinc", "hand")], 0.3, generator=seeded(2))
    code_BMP, strength_BW = network.read(shown)
    for display in range(3):
        alone = network.read(shown[display : display + 1])
        assert torch.equal(alone.code_BMP[0], code_BMP[display])
        assert torch.allclose(alone.strength_BW[0], strength_BW[display], atol=1e-6)
    assert torch.equal(network.read(shown.flip(1)).code_BMP, code_BMP.flip(1))


def test_words_of_other_modules_are_programmed_into_a_module() -> None:
    """The same letters, read beside another word: programmed modules can tell, those with own copies cannot."""
    noise = 0.35 * torch.randn(200, 1, 4, 26, generator=seeded(3))
    target = evidence([("sand",)] * 200, 0.0, generator=seeded()) + noise
    beside = {word: evidence([(word,)] * 200, 0.0, generator=seeded()) for word in ("lane", "bolt")}
    programmed, own = modules(common_words()), OwnCopies(common_words())
    read = {
        name: [reader.read(torch.cat([target, other], 1)).code_BMP[:, 0] for other in beside.values()]
        for name, reader in (("programmed", programmed), ("own", own))
    }
    assert torch.equal(*read["own"])
    assert not torch.equal(*read["programmed"])


def test_crossovers_follow_from_pooling() -> None:
    """On validation displays: many beside similar words, few beside dissimilar ones, and with own copies hardly any.

    Red where modules pool nothing (beside similar words as beside neutral ones), and where the store does not inhibit.
    """
    shown = validation_displays()
    network = modules(common_words())

    def crossovers(reader: ProgrammedModules | OwnCopies, kind: str) -> tuple[float, float]:
        pairs = [(display.word, display.partners[kind]) for display in shown]
        responses = spelled(reader.read(evidence(pairs, 0.27, generator=seeded(4))).code_BMP[:, 0])
        found = outcomes(shown, [other for _, other in pairs], responses)
        return found.crossover, found.exchanged

    similar, dissimilar = crossovers(network, SIMILAR)[0], crossovers(network, DISSIMILAR)[0]
    assert similar > 0.03
    assert similar > 2 * dissimilar
    assert similar > 2 * crossovers(network, NEUTRAL)[1]
    assert crossovers(OwnCopies(common_words()), SIMILAR)[0] <= 0.015


def test_programming_helps() -> None:
    """Against letters alone: red where the modules' feedback does nothing."""
    shown = validation_displays()
    pairs = [(display.word, display.partners[DISSIMILAR]) for display in shown]
    seen = evidence(pairs, 0.27, generator=seeded(5))
    right = letter_codes([word for word, _ in pairs])
    programmed = (modules(common_words()).read(seen).code_BMP[:, 0] == right).all(1).float().mean()
    alone = (read_letters(seen)[:, 0] == right).all(1).float().mean()
    assert programmed > alone + 0.03


def test_connections_are_fewer_from_a_number_of_words_on() -> None:
    """A store of 1,000 words has 4 x 26 x 1,000 connections; a word has lines from its 4 letters to its 6 units."""
    found = connections(1000, ModulesConfig())
    assert found.own == 2 * 104_000
    assert found.programmed == 104_000 + 24 * 1000 + 2 * 2 * 104 * 160
    assert found.programmed < found.own
    few = connections(100, ModulesConfig())
    assert few.programmed > few.own


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 0}, "the setting units of modules is 0; it can be 1 to 100000"),
        ({"pattern": 200}, "the setting pattern of modules is 200; it can be 1 to 160"),
        ({"temperature": 0.0}, "the setting temperature of modules is 0.0; it can be 0.001 to 1000.0"),
        ({"full": 0.0}, "the setting full of modules is 0.0; it can be 0.001 to 1000.0"),
    ],
)
def test_settings_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        ModulesConfig(**settings)
    assert str(raised.value) == message
