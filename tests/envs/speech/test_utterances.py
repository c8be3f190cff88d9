"""Words that are said one after the other: the kit, what is heard beside what was given, ends, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.product import audible, heard
from envs.speech import utterances
from envs.speech.audio import SILENCE, decode
from envs.speech.phones import Phone
from envs.speech.utterances import PHONES, SOUND, WORD, Utterances
from envs.stepper import Action, Ragged

SETTINGS = {"steps": 400, "utterances": 3}

BOTH = torch.ones(2, dtype=torch.bool)


def read(word: str, rate: int, language: str) -> tuple[torch.Tensor, tuple[Phone, ...]]:
    """A reading of nobody: word 2 has three frames, word 3 four."""
    count = 1 + int(word) % 5
    return torch.full((count, 6), float(int(word))), (Phone("a", 0.0, count / 100),)


@pytest.fixture(autouse=True)
def readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "word_frames", read)


@pytest.fixture
def world() -> Utterances:
    return Utterances("booth", SETTINGS)


def act(world: Utterances, state, calls, code_BT=None, given_B=None) -> None:
    call_B4 = torch.tensor([[callee, token, 0, 0] for callee, token in calls])
    world.act(state, Action(call_B4, code_BT, given_B), BOTH)


def test_it_conforms(world: Utterances) -> None:
    check_world(world, [{"TEXT": [4]}, {}, {"TEXT": [0]}], generator=torch.Generator().manual_seed(0))


def test_what_is_heard_is_what_was_given_word_after_word(world: Utterances) -> None:
    """Two words of one instance; the other says one, and lays out another that it does not say."""
    state = world.reset([{}, {"TEXT": [7]}])
    code_BT = torch.arange(800).reshape(2, 400) % 256
    act(world, state, [(WORD, 3), (SOUND, 0)], code_BT.float())
    act(world, state, [(SOUND, 0), (WORD, 5)], code_BT.float())
    act(world, state, [(WORD, 4), (WORD, 6)])
    act(world, state, [(SOUND, 0), (WORD, 1)], 255 - code_BT.float())
    first, second = world.heard(state, 0), world.heard(state, 1)
    assert first is not None
    assert second is not None
    wanted = np.concatenate([code_BT[0, :240], 255 - code_BT[0, :320]])
    assert first.sound.sample_T.tolist() == decode(wanted).tolist()
    assert first.text == "2 3"
    assert [(p.start, p.end) for p in first.phones] == [(0.0, 0.03), (0.03, 0.07)]
    assert second.sound.sample_T.tolist() == decode(code_BT[1, :240].numpy()).tolist()
    assert [reading["SPOKEN"] for reading in world.read(state)] == [[2, 3], [7]]
    assert [reading["TEXT"] for reading in world.read(state)] == [[], [7]]
    assert world.draw(state, 1) == "said: 7\nnext: 0"


def test_a_sound_that_nobody_gives_is_silence(world: Utterances) -> None:
    state = world.reset([{"TEXT": [1]}, {"TEXT": [1]}])
    act(world, state, [(SOUND, 0)] * 2, torch.full((2, 400), 9.0), torch.tensor([True, False]))
    said = [world.heard(state, place).sound.sample_T.tolist() for place in range(2)]
    assert said == [decode(np.full(160, code)).tolist() for code in (9, SILENCE)]


def test_it_has_ended_where_no_word_is_laid_out(world: Utterances) -> None:
    state = world.reset([{}, {"TEXT": [2]}])
    assert world.ended(state).tolist() == [True, False]
    act(world, state, [(SOUND, 0)] * 2)
    assert world.ended(state).tolist() == [True, True]
    assert world.heard(state, 0) is None  # there was nothing to say
    act(world, state, [(WORD, 10), (WORD, 11)])
    assert world.observe(state).fields_BF[:, 0].tolist() == [10, 0]  # there is no word 11


def test_no_more_than_so_many_utterances_are_kept(world: Utterances) -> None:
    state = world.reset([{}, {}])
    for word in range(5):
        act(world, state, [(WORD, 1 + word), (WORD, 10 - word)])
        act(world, state, [(SOUND, 0)] * 2, torch.full((2, 400), 50.0 + word))
    assert [reading["SPOKEN"] for reading in world.read(state)] == [[0, 1, 2], [9, 8, 7]]
    assert world.heard(state, 0).sound.sample_T[-1] == decode(np.array([52]))[0]


def test_an_observation_shows_the_word_of_its_moment(world: Utterances) -> None:
    state = world.reset([{"TEXT": [2]}, {}])
    seen = world.observe(state)
    act(world, state, [(WORD, 1), (WORD, 10)])
    then, now = seen.channels[PHONES], world.observe(state).channels[PHONES]
    assert isinstance(then, Ragged)
    assert isinstance(now, Ragged)
    assert then.lengths_B.tolist() == [3, 0]
    assert (then.padded_BLX[0] == 2).all()
    assert now.lengths_B.tolist() == [1, 5]


def test_of_joined_worlds_what_is_said_in_each_part_is_heard() -> None:
    booth = {"kind": "utterances", "config": SETTINGS}
    arms = {"name": "arms", "kind": "bandit", "config": {"arms": 2, "steps": 3}}
    world = make("product", "desk", {"parts": [{**booth, "name": "one"}, arms, {**booth, "name": "two"}]})
    silent = make("product", "desk", {"parts": [arms, {**arms, "name": "more"}]})
    assert (audible(world), audible(silent), audible(make("bandit", "arms", arms["config"]))) == (True, False, False)
    state = world.reset([{"one.TEXT": [3]}])
    sound = [signature.name for signature in world.spec.primitives].index("one.SOUND")
    assert heard(world, state) == []
    world.act(state, Action(torch.tensor([[sound, 0, 0, 0]]), torch.full((1, 400), 7.0)), BOTH[:1])
    (speech,) = heard(world, state)
    assert (speech.text, len(speech.sound.sample_T)) == ("3", 320)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"words": "numbers"}, "words of utterances is 'numbers'"),
        ({"rate": 8010}, "give a multiple of 100"),
        ({"steps": 0}, "it can be 1 to"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Utterances("booth", settings)


def test_a_word_that_is_too_long_is_told() -> None:
    world = Utterances("booth", {"steps": 100})
    with pytest.raises(ValueError, match="'2' takes 240 samples, and an utterance has 100; declare steps: 240"):
        world.observe(world.reset([{"TEXT": [2]}])).channels[PHONES]
