"""One-shot imitation: promises of the kit, what its layers do against plain loops, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import load, loads
from dsl.program import ProgramSet
from envs.control.demonstrations import DEMONSTRATION, OBJECTS, Demonstration, of_episodes, packed, sizes_of
from envs.control.reaching import Reaching
from envs.control.stacking import Stacking
from envs.stepper import Observation, Ragged
from meta.imitation.attention import over_moments, over_shared_moments, segments
from meta.imitation.encoder import glances, rests, thinned
from meta.imitation.learner import LEARNER
from meta.imitation.network import ImitationConfig, ImitationCore
from npi import examples
from npi.jobs.learners import new_library, train_learner
from npi.learners import check_learner, score_task
from npi.learners.core import learner_program_core
from npi.learners.demonstration_files import write_demonstrations
from npi.learners.interface import TaskInput
from npi.learners.learn_from_demonstrations import FittedRows, learn_from_demonstrations
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.library.manifest import LibraryError

SMALL = ImitationConfig(row=7, units=11, track=5, moments=3)

TWO = """
world plane is reaching(landmarks: 2, fewest: 2, steps: 25)

program REACH "Go where the demonstration goes":
    imitate demonstration over 25 steps
    core "imitation"

task two:
    run REACH
    expect REACHED == ["yes"]
    train
    test
"""

BLOCKS = """
world table is stacking(blocks: 3, stages: 1, demonstrations: 200)

program STACK "Build what the demonstration builds":
    imitate demonstration over 40 steps
    core "imitation"

task known:
    run STACK
    expect DONE == ["yes"]
    train

task other:
    SPLIT = ["test"]
    run STACK
    expect DONE == ["yes"]
    test
"""

SKILL = """
world skills is reaching(landmarks: 2, fewest: 2, steps: 25, shown: no)

program {name} "Go to one colour":
    imitate demonstration over 25 steps
    core "imitation"

task one:
    SKILL = [{number}]
    run {name}
    expect REACHED == ["yes"]
    train
    test
"""


def skill(name: str, number: int) -> ProgramSet:
    return loads(SKILL.format(name=name, number=number), path=f"{name.lower()}.npi")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("reads", ["demonstration", "final", "recurrent"])
def test_it_keeps_what_the_kit_asks(reads: str) -> None:
    programs = load(examples() / "learning" / "reaching.npi")
    check_learner(LEARNER, programs, config=replace(SMALL, reads=reads))


@pytest.mark.parametrize("reads", ["demonstration", "snapshots", "recurrent"])
def test_it_keeps_it_among_blocks_that_move(reads: str) -> None:
    text = (examples() / "learning" / "stacking.npi").read_text()
    programs = loads(text.replace("blocks: 8", "blocks: 3, demonstrations: 20, steps: 40"), path="stacking.npi")
    check_learner(LEARNER, programs, config=replace(SMALL, reads=reads, attention="shared", every=2, dilated=3))


def test_skills_keep_it_too() -> None:
    check_learner(LEARNER, skill("GO", 1), config=SMALL)


def test_moments_are_means_of_their_share_of_time() -> None:
    """The second way: sums over a fine grid of times."""
    length_B = torch.tensor([7, 2, 1])
    weight_BML = segments(length_B, 7, 3)
    fine = 2 * 3 * 7 * 5
    for b, length in enumerate(length_B.tolist()):
        for m in range(3):
            line_L = torch.zeros(7)
            for tick in range(fine // 3):
                line_L[int((m * fine / 3 + tick + 0.5) / fine * length)] += 3 / fine
            assert torch.allclose(weight_BML[b, m], line_L, atol=1e-5)


def test_attention_against_loops() -> None:
    query_BTKU, track_BKMU = torch.randn(2, 3, 5, 7, generator=seeded()), torch.randn(2, 5, 11, 7, generator=seeded(1))
    read_BTKU = over_moments(query_BTKU, track_BKMU)
    for b, t, k in ((0, 0, 0), (1, 2, 4)):
        score_M = torch.stack([(query_BTKU[b, t, k] * track_U).sum() / 7**0.5 for track_U in track_BKMU[b, k]])
        expected_U = sum(w * track_U for w, track_U in zip(score_M.softmax(0), track_BKMU[b, k], strict=True))
        assert torch.allclose(read_BTKU[b, t, k], expected_U, atol=1e-5)


def test_shared_attention_against_loops() -> None:
    """All objects read their own track with one set of weights, by the sum of all products; a lone object its own."""
    query_BTKU, track_BKMU = torch.randn(2, 3, 5, 7, generator=seeded()), torch.randn(2, 5, 11, 7, generator=seeded(1))
    read_BTKU = over_shared_moments(query_BTKU, track_BKMU)
    for b, t in ((0, 0), (1, 2)):
        score_M = torch.stack([(query_BTKU[b, t] * track_BKMU[b, :, m]).sum() / 7**0.5 for m in range(11)])
        for k in (0, 4):
            expected_U = sum(w * track_U for w, track_U in zip(score_M.softmax(0), track_BKMU[b, k], strict=True))
            assert torch.allclose(read_BTKU[b, t, k], expected_U, atol=1e-5)
    lone = query_BTKU[:, :, :1], track_BKMU[:, :1]
    assert torch.allclose(over_shared_moments(*lone), over_moments(*lone), atol=1e-5)


def test_snapshots_are_the_moments_after_a_release() -> None:
    world = Stacking("table", {"demonstrations": 8})
    episodes = world.demonstrate([{"EPISODE": [n]} for n in range(8)], generator=seeded())
    found_BL = rests(of_episodes(episodes, sizes_of(world.spec)))
    held_BL = torch.stack([seen.fields_BF[:, 0] for seen in episodes.seen], 1)
    assert torch.equal(found_BL[:, 1:], (held_BL[:, :-1] > 0) & (held_BL[:, 1:] == 0))
    assert int(found_BL.sum()) > 8


def test_every_third_moment_and_the_last_are_read() -> None:
    world = Stacking("table", {"demonstrations": 3, "stages": 2})
    seen = world.observe(world.reset([{"EPISODE": [n]} for n in range(3)]))
    core, whole = (ImitationCore(replace(SMALL, every=n), sizes_of(world.spec), generator=seeded()) for n in (3, 1))
    assert isinstance(core, ImitationCore)
    assert isinstance(whole, ImitationCore)
    read, shown = core.read(seen), whole.read(seen)
    for b, length in enumerate(shown.length_B.tolist()):
        places = sorted({*range(0, length, 3), length - 1})
        assert torch.equal(read.objects_BLKF[b, : int(read.length_B[b])], shown.objects_BLKF[b, places])


def test_leaving_out_moments_keeps_the_order_and_the_last() -> None:
    world = Reaching("plane", {"landmarks": 3, "fewest": 2, "steps": 6})
    episodes = world.demonstrate([{"EPISODE": [n]} for n in range(5)], generator=seeded())
    shown = of_episodes(episodes, sizes_of(world.spec))
    shown = shown._replace(length_B=torch.tensor([7, 4, 1, 7, 5]))
    kept_BL = torch.rand(5, 7, generator=seeded()) < 0.4
    found = thinned(shown, kept_BL)
    for b, length in enumerate(shown.length_B.tolist()):
        places = [t for t in range(length) if kept_BL[b, t] or t == length - 1]
        assert int(found.length_B[b]) == len(places)
        assert torch.equal(found.body_BLS[b, : len(places)], shown.body_BLS[b, places])
        assert torch.equal(found.action_BLX[b, : len(places)], shown.action_BLX[b, places])
        assert torch.equal(glances(found, 4)[0][b, -1], shown.body_BLS[b, length - 1])


def test_objects_may_be_many_and_in_any_order() -> None:
    """Exchanged in the demonstration and the scene, landmarks change nothing; a core of three acts among seven."""
    world = Reaching("plane", {"landmarks": 7, "fewest": 7})
    core = ImitationCore(SMALL, sizes_of(world.spec), generator=seeded())
    seen = world.observe(world.reset([{"EPISODE": [n]} for n in range(4)]))
    task = TaskInput(world.spec, 0, torch.randn(4, 7, generator=seeded()), torch.zeros(4, 3, dtype=torch.int64))
    order_K = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    shown, objects = core.read(seen), seen.channels[OBJECTS]
    assert isinstance(objects, Ragged)
    other = exchanged(seen, shown, objects, order_K)
    payload_BX, other_BX = (core.step(task, one, core.begin(task, one)).action.payload_BX for one in (seen, other))
    assert payload_BX is not None
    assert other_BX is not None
    assert torch.allclose(payload_BX, other_BX, atol=1e-5)
    assert torch.allclose(core.inferred(shown), core.inferred(core.read(other)), atol=1e-5)


def exchanged(seen: Observation, shown: Demonstration, objects: Ragged, order_K: torch.Tensor) -> Observation:
    line = packed(shown._replace(objects_BLKF=shown.objects_BLKF[:, :, order_K]))
    scene = Ragged(objects.padded_BLX[:, order_K], objects.lengths_B)
    return Observation(seen.fields_BF, {**seen.channels, OBJECTS: scene, DEMONSTRATION: line})


def test_it_learns_to_imitate(tmp_path: Path) -> None:
    """Who reaches some landmark, and does not read the demonstration, is right in half of the scenes at best."""
    programs = loads(TWO, path="two.npi")
    config, rates = ImitationConfig(row=8, units=32, track=16, moments=3), {"rate": 6e-3, "inferred": 0.0, "kept": 0.7}
    training = replace(LEARNER.training, updates=200, batch=16, check_every=200, problems=8, **rates)
    library = train_learner([programs], out=tmp_path / "library", config=config, training=training).library
    score = score_task(library, programs, programs.tasks[0], count=300)
    assert score.scores["success"].mean > 0.75, score


def test_it_learns_to_stack_as_is_shown(tmp_path: Path) -> None:
    """On a task that no training shows: a on c, and never another block; whoever does not read the demonstration
    builds what training had, which is wrong here."""
    programs = loads(BLOCKS, path="blocks.npi")
    config = ImitationConfig(row=4, units=32, track=16, moments=6, attention="shared", every=2)
    rates = {"rate": 6e-3, "inferred": 0.0, "silent": 0.0, "kept": 1.0, "cloned": 16}
    training = replace(LEARNER.training, updates=300, batch=16, check_every=300, problems=8, **rates)
    library = train_learner([programs], out=tmp_path / "library", config=config, training=training).library
    score = score_task(library, programs, programs.tasks[1], count=50)
    assert score.scores["success"].mean > 0.8, score


def untrained() -> Library:
    sets = [loads(TWO, path="two.npi"), skill("FIRST", 1)]
    return new_library(SMALL, [task for each in sets for task in training_tasks(each)], sets, seed=0)


def test_a_program_comes_from_one_demonstration(tmp_path: Path) -> None:
    """Of a core that nobody trained: the row makes the actions likelier, and nothing else changes."""
    library, programs = untrained(), skill("SECOND", 5)
    world, layout = programs.world, [{"EPISODE": [3], "SKILL": [5]}]
    assert isinstance(world, Reaching)
    shown = world.demonstrate(layout, generator=seeded())
    write_demonstrations(tmp_path / "second.npz", shown, world.spec)
    core, count = learner_program_core(library.core), len(library.memory)
    start_P = LEARNER.infer_row(core.net, shown)[0].detach()  # type: ignore[arg-type]
    training = replace(LEARNER.learning, updates=30)
    learned = learn_from_demonstrations(library, [programs], tmp_path / "second.npz", training)
    assert learned.unchanged
    assert learned.numbers == 7
    assert [info.name for info in library.memory.infos][count:] == ["second.SECOND"]
    row_P = library.memory.embeddings_NP[-1].detach()
    losses = FittedRows(core.net, world.spec, 1, shown, torch.stack([row_P, start_P]), training).losses_of(
        torch.stack([row_P, start_P])
    )
    assert float(losses[0]) < float(losses[1])
    with pytest.raises(LibraryError, match="the new ones here are: none; name a file with one"):
        learn_from_demonstrations(library, [programs], tmp_path / "second.npz")


def test_without_actions_a_row_is_inferred(tmp_path: Path) -> None:
    library, programs = untrained(), skill("THIRD", 5)
    assert isinstance(programs.world, Reaching)
    shown = programs.world.demonstrate([{"EPISODE": [3], "SKILL": [5]}], generator=seeded())
    write_demonstrations(tmp_path / "quiet.npz", replace(shown, actions=None), programs.world.spec)
    learned = learn_from_demonstrations(library, [programs], tmp_path / "quiet.npz")
    assert (learned.updates, learned.unchanged) == (0, True)
    core: Any = learner_program_core(library.core).net
    quiet = of_episodes(replace(shown, actions=None), core.sizes)
    assert torch.allclose(library.memory.embeddings_NP[-1], core.inferred(quiet)[0], atol=1e-6)


def test_a_program_with_arguments_keeps_the_inferred_row(tmp_path: Path) -> None:
    """Its file does not say what the arguments were: no gradient, with actions or without."""
    known, programs = (load(examples() / name) for name in ("learning/lifting.npi", "tools/pick.npi"))
    library = new_library(SMALL, training_tasks(known), [known], seed=0)
    assert isinstance(programs.world, Stacking)
    shown = programs.world.demonstrate([{"SKILL": [4], "SPLIT": [2]}], generator=seeded())
    write_demonstrations(tmp_path / "pick.npz", shown, programs.world.spec)
    learned = learn_from_demonstrations(library, [programs], tmp_path / "pick.npz")
    assert (learned.rows, learned.updates, learned.unchanged) == (("pick.PICK",), 0, True)
    core: Any = learner_program_core(library.core).net
    quiet = of_episodes(replace(shown, actions=None), core.sizes)
    assert torch.allclose(library.memory.embeddings_NP[-1], core.inferred(quiet)[0], atol=1e-6)


def test_worlds_without_a_body_are_refused() -> None:
    other = load(examples() / "learning" / "bandit.npi")
    with pytest.raises(ValueError, match=r"has nothing to move by forces.*use a kind such as reaching"):
        LEARNER.admit(other.world.spec)
    with pytest.raises(ValueError, match='"recurrent" needs a world that shows demonstrations'):
        LEARNER.core(replace(SMALL, reads="recurrent"), [skill("GO", 1).world.spec], generator=seeded())
