"""Learners of few examples in worlds of pictures and of waves: promises, training, memory, refusals."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dsl import loads
from envs.episodic.bandit import Bandit
from envs.images import data
from envs.images.drawings import Drawings
from envs.images.sines import Sines
from envs.images.world import Images
from envs.spec import SLOTS
from envs.stepper import Ragged
from envs.world import Episodes
from meta.few_shot.augmentation import Augmentation
from meta.few_shot.core import LRU, FewShotCore, MemoryConfig
from meta.few_shot.learner import LEARNER, MEMORY, changed
from meta.few_shot.network import FewShotConfig
from meta.few_shot.regression import LEARNER as REGRESSION
from meta.few_shot.regression import RegressionConfig, RegressionCore
from npi.jobs.learners import train_learner
from npi.jobs.train import learn_into
from npi.learners.conformance import check_learner
from npi.learners.evaluate import score_task
from npi.learners.interface import TaskInput
from npi.library.library import Library

CLASSES, COPIES, GROUPS, SIDE, NOISE = 40, 8, 4, 16, 0.3

NAME = """
world pictures is images(data: blots, ways: 5, shots: {shots}, queries: {steps}, within: all, told: {told}, test: g3,
                         pixels: 16)

program NAME "Say which class each picture is of":
    maximise accuracy over {steps} steps
    core "{kind}"

task name:
    run NAME
    expect SHOWN == ["no"]
    train
    test
"""

WAVES = """
world waves is sines(shots: 10, queries: 5)

program PREDICT_ALL "Say the values of a wave":
    maximise_ error over 5 steps
    core "regression"

task waves:
    run PREDICT_ALL
    expect ASKED == ["no"]
    train
    test
""".replace("maximise_", "minimise")

SUPPORTED = NAME.format(shots=1, steps=10, told="no", kind="few-shot")
REMEMBERED = NAME.format(shots=0, steps=15, told="yes", kind="memory")


@pytest.fixture(autouse=True)
def blots(monkeypatch: pytest.MonkeyPatch) -> Drawings:
    """Classes are patterns of blots; in each picture many pixels are the other way round."""
    draw = np.random.default_rng(0)
    pattern_CSS = (draw.random((CLASSES, 4, 4)) < 0.4).repeat(4, 1).repeat(4, 2)
    noise_CNSS = draw.random((CLASSES, COPIES, SIDE, SIDE)) < NOISE
    picture_NSS = ((pattern_CSS[:, None] ^ noise_CNSS) * 255).astype(np.uint8).reshape(-1, SIDE, SIDE)
    found = Drawings(
        picture_NSS,
        np.arange(CLASSES).repeat(COPIES),
        np.tile(np.arange(COPIES), CLASSES),
        np.arange(CLASSES) % GROUPS,
        tuple(f"c{number}" for number in range(CLASSES)),
        tuple(f"g{number}" for number in range(GROUPS)),
    )
    monkeypatch.setitem(data._HELD, "blots", found)
    return found


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def world(text: str) -> Images:
    found = loads(text).world
    assert isinstance(found, Images)
    return found


def episodes(text: str, count: int = 3) -> Episodes:
    return world(text).demonstrate([{"EPISODE": [number]} for number in range(count)], generator=seeded())


def task_input(text: str, row_BP: torch.Tensor) -> TaskInput:
    return TaskInput(world(text).spec, 0, row_BP, torch.zeros(len(row_BP), SLOTS, dtype=torch.int64))


@dataclass(frozen=True)
class SmallFewShot(FewShotConfig):
    row: int = 4
    channels: int = 8


@dataclass(frozen=True)
class SmallPrototypes(MemoryConfig):
    row: int = 4
    channels: int = 8


@dataclass(frozen=True)
class SmallSlots(MemoryConfig):
    row: int = 4
    channels: int = 8
    memory: str = LRU
    code: int = 8
    units: int = 8
    heads: int = 2
    slots: int = 6
    width: int = 4


class Sized:
    """A learner whose cores are smaller."""

    def __init__(self, learner, config) -> None:
        self.learner, self.config = learner, config

    def __getattr__(self, name):
        return getattr(self.learner, name)


@pytest.mark.parametrize(
    ("learner", "text"),
    [
        (Sized(LEARNER, SmallFewShot), SUPPORTED),
        (Sized(MEMORY, SmallPrototypes), REMEMBERED),
        (Sized(MEMORY, SmallSlots), REMEMBERED),
        (REGRESSION, WAVES),
    ],
)
def test_learners_keep_their_promises(learner, text):
    check_learner(learner, loads(text))


def test_a_prototype_is_the_mean_of_its_classes_maps():
    text = NAME.format(shots=3, steps=2, told="no", kind="few-shot")
    core, found = FewShotCore(FewShotConfig(channels=8, row=4), generator=seeded()), episodes(text)
    row_BP = torch.randn(3, 4, generator=seeded())
    hidden_BH = core.begin(task_input(text, row_BP), found.seen[0])
    support = found.seen[0].channels["support"]
    assert isinstance(support, Ragged)
    for b, w in ((0, 0), (2, 4)):
        own = core.encoder(support.padded_BLX[b, 3 * w : 3 * w + 3], row_BP[b].expand(3, -1)).flatten(1)
        prototype = hidden_BH[b, w * core.map_size : (w + 1) * core.map_size]
        assert torch.allclose(prototype, own.mean(0), atol=1e-5)


def test_labels_that_an_episode_does_not_have_are_never_said():
    text = SUPPORTED.replace("ways: 5", "ways: 50")  # 30 classes are to train on
    core, found = FewShotCore(FewShotConfig(channels=8, row=4), generator=seeded()), episodes(text)
    task = task_input(text, torch.zeros(3, 4))
    log_TBW = core.unroll(task, found, core.begin(task, found.seen[0]))["log_BW"]
    assert torch.allclose(log_TBW[..., :30].exp().sum(2), torch.ones(10, 3))
    assert log_TBW[..., 30:].max().item() < -1000


def test_what_is_told_later_changes_nothing_before():
    found = episodes(REMEMBERED)
    core = MEMORY.core(MemoryConfig(channels=8, row=4), [], generator=seeded())
    task = task_input(REMEMBERED, torch.zeros(3, 4))
    field = task.spec.field("TOLD")
    late = [seen._replace(fields_BF=seen.fields_BF.clone()) for seen in found.seen]
    for seen in late[7:]:
        seen.fields_BF[:, field] = 1 + seen.fields_BF[:, field] % 5
    told, other = (
        core.unroll(task, replace(found, seen=seen), core.begin(task, seen[0]))["log_BW"] for seen in (found.seen, late)
    )
    assert torch.equal(told[:7], other[:7])
    assert not torch.allclose(told[8:], other[8:])
    assert torch.allclose(told[0], told[0, :, :1].expand(-1, 5))  # nothing is known of the first picture


def test_pictures_are_changed_and_nothing_else_is():
    found = episodes(SUPPORTED)
    other = changed(found, Augmentation(), generator=seeded())
    for before, after in zip(found.seen, other.seen, strict=True):
        assert torch.equal(before.fields_BF, after.fields_BF)
        assert after.channels["picture"].shape == before.channels["picture"].shape
    assert not torch.equal(found.seen[0].channels["picture"], other.seen[0].channels["picture"])
    support, more = found.seen[0].channels["support"], other.seen[0].channels["support"]
    assert torch.equal(support.lengths_B, more.lengths_B)
    assert not torch.equal(support.padded_BLX, more.padded_BLX)


def test_memories_are_judged_by_how_often_a_class_was_shown():
    found = episodes(REMEMBERED)
    right_TB = torch.ones(15, 3)
    label_TB = torch.stack([seen.fields_BF[:, 2] for seen in found.seen[1:]])
    first_TB = torch.stack([(label_TB[:t] != label_TB[t]).all(0) for t in range(15)])
    scores = MEMORY.judge(world(REMEMBERED), replace(found, scores={"accuracy": right_TB - first_TB.float()}))
    assert scores["instance 1"].tolist() == [0, 0, 0]
    assert scores["instance 2"].tolist() == [1, 1, 1]
    assert "instance 5" not in scores  # each class is shown three times
    assert scores["accuracy"].tolist() == pytest.approx([10 / 15] * 3)


def test_training_learns_to_name_pictures_of_new_classes_and_rows_beside_the_core(tmp_path: Path):
    file = tmp_path / "name.npi"
    file.write_text(SUPPORTED)
    training = replace(LEARNER.training, updates=60, batch=4, check_every=60, problems=16, displacement=0.0, rate=5e-3)
    library = train_learner(
        [file], out=tmp_path / "library", config=FewShotConfig(channels=16, row=4), training=training
    ).library
    programs, task = library.task("name")
    accuracy = score_task(library, programs, task, count=100).scores["accuracy"].mean
    assert accuracy > 0.85  # at random: 0.2; an untrained core: 0.36
    more = tmp_path / "more.npi"
    more.write_text(SUPPORTED.replace("NAME", "NAME_MORE"))
    learning = replace(LEARNER.learning, updates=12, problems=8, starts=2)  # no row is inferred: that has no gradient
    found = learn_into(tmp_path / "library", [more], config=learning, out=tmp_path / "two")
    after = Library.open(tmp_path / "two")
    assert found.unchanged
    assert library.core.digest() == after.core.digest()
    assert torch.equal(library.memory.embeddings_NP, after.memory.embeddings_NP[:1])


def test_training_learns_to_remember(tmp_path: Path):
    file = tmp_path / "name.npi"
    file.write_text(REMEMBERED)
    training = replace(MEMORY.training, updates=40, batch=8, check_every=40, problems=16, displacement=0.0, rate=5e-3)
    library = train_learner(
        [file], out=tmp_path / "library", config=MemoryConfig(channels=16, row=4), training=training
    ).library
    programs, task = library.task("name")
    scores = {name: score.mean for name, score in score_task(library, programs, task, count=100).scores.items()}
    assert scores["instance 2"] > 0.8  # an untrained core: 0.12
    assert scores["instance 1"] < 0.55  # no core can know more than which labels are left: 0.457


def test_training_learns_to_adapt_by_one_step(tmp_path: Path):
    file = tmp_path / "waves.npi"
    file.write_text(WAVES)
    training = replace(REGRESSION.training, updates=200, batch=64, check_every=200, problems=64)
    library = train_learner([file], out=tmp_path / "library", training=training).library
    programs, task = library.task("waves")
    assert score_task(library, programs, task, count=400).scores["error"].mean < 1  # an untrained core: 3.8


def test_the_step_within_an_episode_is_along_the_gradient_of_its_points_alone():
    core = RegressionCore(RegressionConfig(units=8), generator=seeded()).double()
    waves = Sines("waves", {"shots": 4, "queries": 2})
    seen = waves.observe(waves.reset([{"EPISODE": [number]} for number in range(3)]))
    seen = seen._replace(channels={name: part.double() for name, part in seen.channels.items()})
    row_BP = torch.randn(3, 5, generator=seeded(), dtype=torch.float64)
    task = TaskInput(waves.spec, 0, row_BP, torch.zeros(3, SLOTS, dtype=torch.int64))
    with torch.no_grad():
        moved = core.begin(task, seen) - row_BP
        for b, p in ((0, 0), (2, 4)):
            shift = torch.zeros_like(row_BP)
            shift[b, p] = 1e-5
            points = seen.channels["support"]
            high, low = (core.negative_log_likelihood(points, row_BP + sign * shift)[b] for sign in (1, -1))
            slope = (high - low) / 2e-5
            assert moved[b, p].item() == pytest.approx(-(core.log_rate_P[p].exp() * slope).item(), abs=1e-6)


@pytest.mark.parametrize(
    ("learner", "why"),
    [
        (LEARNER, "world arms (bandit) does not show square pictures in a channel 'picture'"),
        (MEMORY, "world arms (bandit) does not show square pictures in a channel 'picture'"),
        (REGRESSION, "world arms (bandit) does not ask for values of a function that is shown by points"),
    ],
)
def test_other_worlds_are_refused(learner, why):
    with pytest.raises(ValueError) as refused:
        learner.admit(Bandit("arms", {"arms": 2, "steps": 5}).spec)
    assert why in str(refused.value)


def test_pictures_without_what_a_learner_needs_are_refused_with_a_fix():
    with pytest.raises(ValueError, match='shots: 1 or more, or learn with core "memory"'):
        LEARNER.admit(world(REMEMBERED).spec)
    with pytest.raises(ValueError, match="declare it with told: yes"):
        MEMORY.admit(world(SUPPORTED).spec)
