"""``npi eval --meshes``: users' own meshes in place of the world's cars, each from all starts of a task."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import dsl
from dsl import compile_teacher
from envs.cars.mesh_files import load_folder
from envs.cars.world import Cars
from npi.cli.main import main
from npi.core.config import CoreConfig
from npi.core.pictures import PictureEncoder
from npi.library.library import Library
from npi.running.evaluate import solve
from npi.running.mesh_accuracy import car_input, score_meshes, starts
from tests.envs.cars.test_cars_meshes import turned, write_glb, write_obj
from tests.support.paths import PROGRAMS

pytest.importorskip("trimesh")

NAMES = ["a.obj", "b.glb", "inside/c.obj", "inside/d.glb", "e.obj"]
POSES = 11 * 5
"""Starts of the task: azimuths −75 to 75, elevations 0 to 60."""


@pytest.fixture(scope="module")
def programs() -> dsl.ProgramSet:
    """A world of three cars, fewer than there are meshes."""
    few = "seen: 3, unseen: 0, novel: 0, pixels: 16"
    text = (PROGRAMS / "goto.npi").read_text().replace("seen: 500, unseen: 60, novel: 60", few)
    return dsl.loads(text, path="goto.npi")


@pytest.fixture(scope="module")
def library(programs: dsl.ProgramSet) -> Library:
    """A core that was not trained."""
    return Library.create(CoreConfig(hidden=19, bits=3), [programs.table], sets=[programs], seed=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generated cars that the world does not have, as files, up y and forward z."""
    found = tmp_path_factory.mktemp("meshes")
    (found / "inside").mkdir()
    others = Cars("others", {"seen": 5, "seed": 9})
    for number, name in enumerate(NAMES):
        shape = others.mesh(number)
        write = write_obj if name.endswith("obj") else write_glb
        write(found / name, turned(shape, "y", "z"), shape.colours_F3)
    return found


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> list[set[bytes]]:
    """What goes into the network, a set of pictures a look."""
    looks: list[set[bytes]] = []
    forward = PictureEncoder.forward

    def watched(self: PictureEncoder, pixels_UHWC: torch.Tensor) -> torch.Tensor:
        looks.append({picture.numpy().tobytes() for picture in pixels_UHWC})
        return forward(self, pixels_UHWC)

    monkeypatch.setattr(PictureEncoder, "forward", watched)
    return looks


def all_pictures(world: Cars, car: int) -> set[bytes]:
    """The car from every pose of the grid."""
    values = [[car, azimuth, elevation] for azimuth in range(24) for elevation in range(5)]
    return {picture.numpy().tobytes() for picture in world.pictures(torch.tensor(values))}


def looks_by_mesh(looks: list[set[bytes]], mine: list[set[bytes]]) -> Iterator[set[int]]:
    """Which meshes each look shows."""
    for look in looks:
        yield {number for number, pictures in enumerate(mine) if look & pictures}


def test_the_core_sees_the_meshes_and_nothing_else(
    programs: dsl.ProgramSet, library: Library, folder: Path, pixels: list[set[bytes]]
) -> None:
    meshes, _ = load_folder(folder)
    task = programs.task("canonicalise")
    poses = starts(programs, task)
    assert len(poses) == POSES
    scores = list(score_meshes(library, programs, task, meshes, poses))
    assert [score.mesh for score in scores] == sorted(NAMES) == [name for name, _ in meshes]
    world = programs.world
    mine = []  # the world has room for three, so the fourth and fifth mesh are its first and second car again
    for part in (meshes[:3], meshes[3:]):
        shown = world.showing([mesh for _, mesh in part])
        mine += [all_pictures(shown, car) for car in range(len(part))]
    assert len(set.union(*mine)) == sum(map(len, mine))
    assert all(look <= set.union(*mine) for look in pixels)
    assert {number for found in looks_by_mesh(pixels, mine) for number in found} == {0, 1, 2, 3, 4}
    for pictures in mine:
        assert len(set.union(*pixels) & pictures) >= POSES
    own = set.union(*(all_pictures(world, car) for car in range(3)))
    assert not own & set.union(*pixels)
    pixels.clear()
    solve(library.stepper(programs.table), programs, task, [task.lay({**poses[0], "car": 0})])
    assert set.union(*pixels) <= own  # afterwards the core looks at the world's cars again


def test_scores_are_those_of_the_runs(programs: dsl.ProgramSet, library: Library, folder: Path) -> None:
    """Against one mesh at a time, shown and run by hand."""
    meshes, _ = load_folder(folder)
    task = programs.task("canonicalise")
    poses = starts(programs, task)
    (picture,) = library.core.adapter(0).sights
    own = picture.shown.world
    for score in score_meshes(library, programs, task, meshes[:2], poses):
        number = [name for name, _ in meshes].index(score.mesh)
        picture.shown.show(programs.world.showing([mesh for _, mesh in meshes[:2]]))
        problems = [task.lay({**pose, "car": number}) for pose in poses]
        solved = solve(library.stepper(programs.table), programs, task, problems)
        assert (score.right, score.count) == (solved.count, POSES)
        assert score.steps == sum(solved.steps) / POSES
        assert list(score.wrong) == [pose for pose, right in zip(poses, solved.right, strict=True) if not right]
    assert picture.shown.world is own


def test_a_core_that_never_returns_is_stopped_soon(programs: dsl.ProgramSet, folder: Path) -> None:
    """Turns red where a run may take many more steps than the text needs, such as 50,000."""
    endless = Library.create(CoreConfig(hidden=19, bits=3), [programs.table], sets=[programs], seed=7)
    with torch.no_grad():
        endless.core.end.bias.fill_(-100)
    meshes, _ = load_folder(folder)
    task = programs.task("canonicalise")
    poses = starts(programs, task)
    longest = solve(compile_teacher(programs), programs, task, [task.lay({**pose, "car": 0}) for pose in poses])
    (score,) = score_meshes(endless, programs, task, meshes[:1], poses)
    assert score.right == 0
    assert score.steps <= max(longest.steps) + 16


def test_starts_are_those_that_the_condition_allows(programs: dsl.ProgramSet) -> None:
    plain = starts(programs, programs.task("canonicalise"))
    assert plain == [{"azimuth": a, "elevation": e} for a in range(-75, 90, 15) for e in range(0, 75, 15)]
    for name in ("unseen", "novel"):  # which name cars that the world does not have
        assert starts(programs, programs.task(name)) == plain
    assert len(starts(programs, programs.task("goto"))) == POSES**2
    few = starts(programs, programs.task("goto"), count=7, seed=1)
    assert few == starts(programs, programs.task("goto"), count=7, seed=1)
    assert few != starts(programs, programs.task("goto"), count=7, seed=2)
    assert len(few) == 7
    assert car_input(programs, programs.task("goto")) == "car"


def test_tasks_that_do_not_fit_are_told(programs: dsl.ProgramSet) -> None:
    addition = dsl.load(PROGRAMS / "addition.npi")
    with pytest.raises(ValueError, match=r"task add runs in world pad \(scratchpad\); meshes are shown"):
        starts(addition, addition.task("add"))
    with pytest.raises(ValueError, match="input a is a natural number, which are without end"):
        addition.task("add").combinations("b")
    text = programs.sources[-1][1].partition("\ntask ")[0] + "\n"
    fixed = "task fixed(azimuth: AZIMUTH):\n    AZIMUTH = [azimuth]\n    CAR = [1]\n    run GOTO\n"
    other = dsl.loads(text + fixed + "    expect AZIMUTH == [0]\n    test\n")
    with pytest.raises(ValueError, match="task fixed lays no input as CAR"):
        starts(other, other.task("fixed"))
    none = dsl.loads(text + fixed.replace("):", ") where azimuth > 900:") + "    expect AZIMUTH == [0]\n    test\n")
    with pytest.raises(ValueError, match="no inputs satisfy its condition"):
        none.task("fixed").combinations("car")


# the command


@pytest.fixture(scope="module")
def place(library: Library, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("library")
    library.save(out)
    return str(out)


def test_a_table_by_mesh_and_broken_ones_told(place: str, folder: Path, tmp_path, capsys) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    (mixed / "bad.obj").write_text("v 0 0 0\n")
    (mixed / "cut.glb").write_bytes((folder / "b.glb").read_bytes()[:999])
    words = ["eval", "canonicalise", "--library", place, "--meshes", str(mixed), "--count", "11"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"canonicalise on 5 meshes of {mixed}, 11 starts each"
    assert lines[1].split() == ["mesh", "solved", "accuracy", "steps", "each", "time"]
    assert [line.split()[0] for line in lines[3:] if line.strip()] == [*sorted(NAMES), "all"]
    assert "of 55" in lines[-1]
    told = [line for line in err.splitlines() if "left out" in line]
    assert told[0] == "npi: left out: bad.obj: it has no faces"
    assert told[1].startswith("npi: left out: cut.glb: it cannot be read")
    assert len(told) == 2
    assert main([*words, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert [one["mesh"] for one in data["meshes"]] == sorted(NAMES)
    assert all(one["count"] == 11 == one["right"] + len(one["wrong"]) for one in data["meshes"])
    assert [one["mesh"] for one in data["broken"]] == ["bad.obj", "cut.glb"]


def test_all_right_ends_well(programs: dsl.ProgramSet, place: str, folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(Library, "stepper", lambda self, table: compile_teacher(programs))
    assert main(["eval", "unseen", "--library", place, "--meshes", str(folder), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [(one["right"], one["count"], one["wrong"]) for one in data["meshes"]] == [(POSES, POSES, [])] * 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["canonicalise", "--meshes", "{empty}"], "has no file that ends in .obj, .glb, .ply"),
        (["canonicalise", "--meshes", "{empty}/none"], "is not a folder"),
        (["canonicalise", "--meshes", "{bad}"], "no mesh that can be used\n  bad.obj: it has no faces\n  worse.glb"),
        (["canonicalise", "--meshes", "{folder}", "--up", "z", "--forward", "-z"], "have to be different axes"),
        (
            ["canonicalise", "--meshes", "{folder}", "--teacher", "a.npi"],
            "--teacher does not apply with --meshes: a program text reads no pictures",
        ),
        (
            ["canonicalise", "--meshes", "{folder}", "--sizes", "3"],
            "--sizes does not apply with --meshes: meshes are shown from all starts",
        ),
        (["--meshes", "{folder}"], "--meshes takes the name of one task"),
        (["canonicalise", "--up", "z"], "--up does not apply without --meshes"),
    ],
)
def test_bad_input_is_told(words: list[str], message: str, place: str, folder: Path, tmp_path, capsys) -> None:
    places = {"folder": folder, "empty": tmp_path / "empty", "bad": tmp_path / "bad"}
    for name in ("empty", "bad"):
        places[name].mkdir()
    (tmp_path / "bad" / "bad.obj").write_text("v 0 0 0\n")
    (tmp_path / "bad" / "worse.glb").write_text("nothing")
    assert main(["eval", *(word.format(**places) for word in words), "--library", place]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
