"""Episodes of pictures, on drawings whose pixels tell their class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.conformance import CHECKS, check_world
from envs.episodic.trials import digits
from envs.images.data import hold
from envs.images.world import PICTURE, SPLITS, SUPPORT, Images
from envs.spec import SpecError
from envs.stepper import Action, Ragged
from tests.support.tiny_drawings import tiny_drawings

GROUPS = {"Alpha": 6, "Beta": 3, "Gamma": 5, "Delta": 4}
DATA = tiny_drawings(GROUPS)
hold("tiny", DATA)
NUMBER_OF_SPLIT = {name: number for number, name in enumerate(SPLITS)}


def images(**config: Any) -> Images:
    small = {"data": "tiny", "pixels": 8, "ways": 5, "queries": 7, "test": "Gamma", "validation": "Delta"}
    return Images("cards", small | config)


def class_of(picture_SS: torch.Tensor) -> int:
    """Of the drawings above."""
    return round(float(picture_SS[0, 0]) * 255) - 1


def labels(label_B: list[int]) -> Action:
    return Action(torch.tensor([[0, label, 0, 0] for label in label_B]))


@pytest.mark.parametrize(
    "config", [{}, {"within": "all", "order": "freely"}, {"shots": 0, "told": "yes"}, {"shots": 2}]
)
def test_the_world_conforms(config: dict[str, Any]) -> None:
    layouts = [{"EPISODE": [7]}, {"EPISODE": [1, 2], "PICTURES": [3]}, {"SPLIT": [0], "PICTURES": [2, 0]}]
    assert check_world(images(**config), layouts, generator=torch.Generator().manual_seed(0)) == tuple(CHECKS)


@given(number=st.integers(0, 10**9), split=st.sampled_from(SPLITS), shots=st.integers(1, 3), alike=st.booleans())
@settings(max_examples=40, deadline=None)
def test_support_set_and_pictures_are_of_the_classes_that_their_labels_say(
    number: int, split: str, shots: int, alike: bool
) -> None:
    """The second way: pixels tell class and drawer of what is shown, and the labels are read from them."""
    world = images(shots=shots, order="evenly" if alike else "freely")
    state = world.reset([{"EPISODE": digits(number), "SPLIT": [NUMBER_OF_SPLIT[split]]}])
    support = world.observe(state).channels[SUPPORT]
    assert isinstance(support, Ragged)
    shown = list(support.padded_BLX[0][: int(support.lengths_B[0])])
    classes = [class_of(picture) for picture in shown[::shots]]
    assert [class_of(picture) for picture in shown] == [c for c in classes for _ in range(shots)]
    assert len(set(classes)) == len(classes) <= 5
    (group,) = {DATA.group_names[DATA.group_C[c]] for c in classes}
    assert group in {"train": ["Alpha", "Beta"], "validation": ["Delta"], "test": ["Gamma"]}[split]
    assert len(classes) == min(5, GROUPS[group])
    drawn = {bytes(picture.numpy()) for picture in shown}
    assert len(drawn) == len(shown)
    counts = dict.fromkeys(range(1, 1 + len(classes)), 0)
    for right in [label + 1 for label in world.read(state)[0]["LABELS"]]:
        picture_1SS = world.observe(state).channels[PICTURE]
        assert isinstance(picture_1SS, torch.Tensor)
        assert class_of(picture_1SS[0]) == classes[right - 1]
        assert bytes(picture_1SS[0].numpy()) not in drawn, "a drawing of the support set is never asked for"
        counts[right] += 1
        world.act(state, labels([right]), torch.tensor([True]))
    assert bool(world.ended(state)[0])
    assert not alike or max(counts.values()) - min(counts.values()) <= 1


def test_answers_are_scored_told_and_read() -> None:
    world = images(shots=0, told="yes", queries=4)
    state = world.reset([{"EPISODE": [3]}, {"EPISODE": [4], "PICTURES": [2]}])
    right = [reading["LABELS"] for reading in world.read(state)]
    assert [len(row) for row in right] == [4, 2]
    wrong = 1 + (right[0][0] + 1) % 5
    assert world.value(state, labels([wrong, right[1][0] + 1])).tolist() == [0, 1]
    world.act(state, labels([wrong, right[1][0] + 1]), torch.tensor([True, True]))
    assert world.score(state)["accuracy"].tolist() == [0, 1]
    assert world.observe(state).fields_BF.tolist() == [
        [1, wrong, right[0][0] + 1],
        [1, right[1][0] + 1, right[1][0] + 1],
    ]
    world.act(state, labels([1, 1]), torch.tensor([False, True]))
    assert world.ended(state).tolist() == [False, True]
    assert world.optimum(state).tolist() == [1, 0]
    assert float(world.observe(state).channels[PICTURE][1].sum()) == 0, "behind the end there is nothing to see"  # type: ignore[index, union-attr]
    assert [reading["ANSWERS"] for reading in world.read(state)] == [[wrong - 1], [right[1][0], 0]]


def test_demonstrations_are_right() -> None:
    world = images()
    episodes = world.demonstrate([{"EPISODE": [5]}, {"PICTURES": [2]}], generator=torch.Generator())
    assert (episodes.scores["accuracy"] == episodes.live_TB).all()
    assert episodes.live_TB.sum(0).tolist() == [7, 2]


def test_a_support_set_can_be_given() -> None:
    world = images()
    given_BLSS = torch.rand(2, 3, 8, 8)
    state = world.reset([{}, {}], given={SUPPORT: given_BLSS}).select(torch.tensor([1, 1, 0]))
    support = world.observe(state).channels[SUPPORT]
    assert isinstance(support, Ragged)
    assert torch.equal(support.padded_BLX, given_BLSS[[1, 1, 0]])
    assert support.lengths_B.tolist() == [3, 3, 3]
    with pytest.raises(ValueError, match="give B x L x 8 x 8"):
        world.reset([{}], given={SUPPORT: torch.rand(1, 3, 9, 8)})


def test_without_names_each_tenth_group_is_for_tests() -> None:
    data = tiny_drawings({f"G{number}": 2 for number in range(20)})
    world = Images("cards", {"data": "tiny", "pixels": 8}, data={"tiny": data})
    assert [len(world.classes(split)) for split in ("train", "test")] == [18, 2]
    with pytest.raises(ValueError, match="no group for validation with two classes"):
        world.classes("validation")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"ways": 1}, "setting ways of images is 1; it can be 2 to 500"),
        ({"within": "alphabets"}, "did you mean 'alphabet'"),
        ({"shots": 0}, "write told: yes"),
        ({"pixels": 4}, "8 to 128"),
        ({"way": 3}, "did you mean 'ways'"),
    ],
)
def test_settings_out_of_range_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        images(**config)


@pytest.mark.parametrize(
    ("config", "layout", "message"),
    [
        ({"test": "Gama"}, {}, "no group 'Gama'; did you mean 'Gamma'"),
        ({"test": "Delta"}, {}, "Delta is for validation and for test"),
        ({"pixels": 16}, {}, "shows 16 pixels a side, and the data tiny have 8"),
        ({"shots": 4}, {}, "no group for train with two classes of more than 4 drawings"),
        ({}, {"PICTURES": [0]}, "PICTURES is 0; give 1 to 1000"),
        ({}, {"LABELS": [0]}, "is what comes out"),
        ({}, {"SPLIT": [3]}, "give one index below 3"),
    ],
)
def test_episodes_that_there_are_not_are_refused(config: dict[str, Any], layout: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        images(**config).reset([layout])


def test_a_picture_is_drawn_with_its_support_set() -> None:
    world = images()
    given_BLSS = torch.zeros(1, 2, 8, 8)
    given_BLSS[0, 0, :2], given_BLSS[0, 1, 7] = 1, 1
    lines = world.draw(world.reset([{}], given={SUPPORT: given_BLSS})).splitlines()
    assert lines[0].split() == ["?", "1", "2"]
    assert [line.strip() for line in lines[1:]] == ["█" * 8, "", "", "▄" * 8]
