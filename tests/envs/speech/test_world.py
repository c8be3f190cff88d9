"""The world of speech: its kit, crops beside the recordings, scores beside their closed form, and its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.speech import data
from envs.speech.corpus import Corpus
from envs.speech.world import PHONES, Speech
from envs.stepper import Action
from tests.support.tiny_voices import tiny_corpus

SETTINGS = {"data": "tiny", "steps": 400}

SHORT = {**SETTINGS, "steps": 160}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tiny_corpus(tmp_path_factory.mktemp("voices"))


@pytest.fixture
def world(corpus: Corpus) -> Speech:
    return Speech("booth", SETTINGS, data={"tiny": corpus})


def test_it_conforms(corpus: Corpus, monkeypatch) -> None:
    monkeypatch.setitem(data._HELD, "tiny", corpus)
    layouts = [{"EPISODE": [1]}, {"EPISODE": [2], "VOICE": [3], "SPLIT": [2]}, {"EPISODE": [5], "VOICE": [2]}]
    check_world(Speech("booth", SHORT), layouts, generator=torch.Generator().manual_seed(0))


def test_a_crop_is_a_stretch_of_a_recording_of_the_split(world: Speech, corpus: Corpus) -> None:
    for number in range(20):
        crop = world.crop(number, 2, "test")
        (recording,) = corpus.recordings(1, "test")
        whole = corpus.codes(int(recording)).tolist()
        places = [p for p in range(0, len(whole), 80) if whole[p : p + 400] == crop.code_T.tolist()]
        assert places
        assert any((crop.frame_LF == corpus.frames(int(recording))[p // 80 : p // 80 + 5]).all() for p in places)


def test_seconds_bound_what_is_trained_on(corpus: Corpus) -> None:
    world = Speech("booth", {**SETTINGS, "seconds": 0.6}, data={"tiny": corpus})
    numbers, end = world.recordings(1, "train")
    assert end[-1] == 60
    assert len(numbers) == 2
    assert len(world.recordings(1, "test")[0]) == 1


def test_bits_are_minus_the_binary_logarithm_of_what_was_predicted(world: Speech) -> None:
    state = world.reset([{"EPISODE": [3]}, {"EPISODE": [4]}])
    true_B = state.code_BT[:, 0].long()
    logit_BX = torch.randn(2, 256, generator=torch.Generator().manual_seed(1))
    call_B4 = torch.tensor([[0, 1, 0, 0], [0, 200, 0, 0]])
    world.act(state, Action(call_B4, logit_BX), torch.tensor([True, True]))
    expected = [-math.log2(math.exp(logit_BX[i, true_B[i]]) / sum(math.exp(x) for x in logit_BX[i].tolist()))
                for i in range(2)]  # fmt: skip
    assert world.score(state)["bits"].tolist() == pytest.approx(expected, abs=1e-5)
    assert state.last_B.tolist() == true_B.tolist()
    world.act(state, Action(call_B4), torch.tensor([True, False]))
    assert world.score(state)["bits"].tolist() == pytest.approx([8, expected[1]], abs=1e-5)


def test_where_sounds_are_given_what_is_said_is_shown(world: Speech) -> None:
    state = world.reset([{}], given={PHONES: torch.zeros(1, 2, 6)})
    world.act(state, Action(torch.tensor([[0, 78, 0, 0]])), torch.tensor([True]))
    assert world.observe(state).fields_BF.tolist() == [[77, 0]]
    assert int(state.count_B) == 160
    with pytest.raises(ValueError, match="give B x L x 6"):
        world.reset([{}], given={PHONES: torch.zeros(1, 2, 5)})


def test_demonstrations_are_the_recordings(world: Speech) -> None:
    layouts = [{"EPISODE": [7]}, {"EPISODE": [8], "VOICE": [2]}]
    shown = world.demonstrate(layouts, generator=torch.Generator().manual_seed(0))
    state = world.reset(layouts)
    assert shown.actions is not None
    said_BT = torch.stack([action.call_B4[:, 1] - 1 for action in shown.actions], 1)
    assert (said_BT == state.code_BT).all()
    for t in (0, 1, 200, 400):
        assert shown.seen[t].fields_BF[:, 1].tolist() == [int(t == 400)] * 2
    assert shown.live_TB.all()


@pytest.mark.parametrize(
    ("settings", "layout", "says"),
    [
        ({}, {"VOICE": [9]}, "the voices tiny have 3"),
        ({"rate": 8001}, {}, "whole numbers of frames"),
        ({"steps": 81}, {}, "whole numbers of frames"),
        ({"rate": 16000, "steps": 480}, {}, "the voices tiny have 8000"),
        ({"data": "missing"}, {}, "--data missing=FOLDER"),
    ],
)
def test_refusals_name_the_fix(
    corpus: Corpus, settings: dict[str, object], layout: dict[str, list[int]], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        make("speech", "booth", {**SETTINGS, **settings}, data={"tiny": corpus}).reset([layout])


def test_it_is_drawn(world: Speech) -> None:
    drawing = world.draw(world.reset([{"EPISODE": [1]}]), width=20)
    assert len(drawing.splitlines()) == 3
    assert np.array([len(line) <= 20 for line in drawing.splitlines()]).all()
