"""Looking at runs of the car world: text in degrees, animations as GIFs, pages with pictures."""

import base64
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import dsl
from envs.cars.world import FIELDS, Cars, CarsConfig
from envs.scratchpad.world import Scratchpad
from envs.world import Aimed, Drawn, Pictured
from npi.cli.main import main
from npi.cli.run_files import stills
from npi.running.run_page import take_of
from npi.running.runs import Run
from tests.support.browser import MISSING, browser
from tests.support.paths import PROGRAMS
from tests.support.picture_helpers import ADDITION, document, teacher_run, unfold
from traces.recording.text import content_text, state_lines
from traces.viewing.animation import END_MS, STEP_MS, Still, animation, enlarged, fitted, frame
from traces.viewing.page import page
from traces.viewing.states import PictureStates, Pixels, TextStates, png, states

pillow = pytest.importorskip("PIL.Image")

SMALL = "cars(seen: 3, unseen: 2, novel: 2, pixels: 16)"


@pytest.fixture(scope="module")
def goto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the paper in a small world."""
    file = tmp_path_factory.mktemp("programs") / "goto.npi"
    file.write_text((PROGRAMS / "goto.npi").read_text().replace("cars(seen: 500, unseen: 60, novel: 60)", SMALL))
    return file


@pytest.fixture(scope="module")
def programs(goto: Path) -> dsl.ProgramSet:
    return dsl.load(goto)


@pytest.fixture(scope="module")
def found(programs: dsl.ProgramSet) -> Run:
    return teacher_run(programs, "canonicalise", "car=1", "azimuth=-30", "elevation=45")


def seen(world: Cars, azimuth: int, elevation: int, car: int = 1) -> Pixels:
    """The picture of a car from a pose in degrees of the grid of 15."""
    return world.pictures(torch.tensor([[car, azimuth // 15 + 12, elevation // 15]]))[0].numpy()


WAY = [(-30, 45), (-15, 45), (0, 45), (0, 30), (0, 15)]
"""The poses that the run goes through."""


def test_a_pose_is_drawn_in_degrees() -> None:
    world = Cars("street", CarsConfig(seen=3, unseen=0, novel=0, pixels=16))
    state = world.reset([{"CAR": [2], "AZIMUTH": [16], "ELEVATION": [3]}])
    assert state_lines(world, state) == ["car 2 from azimuth 60°, elevation 45°; target 0°, 15°"]
    assert isinstance(world, Drawn)
    assert isinstance(world, Pictured)
    assert isinstance(world, Aimed)
    assert isinstance(ADDITION.world, Scratchpad)
    assert isinstance(ADDITION.world, Drawn)
    assert not isinstance(ADDITION.world, Pictured | Aimed)


class Plain:
    """Cars that can neither be drawn nor seen."""

    def __init__(self, world: Cars) -> None:
        self.spec, self.reset, self.observe = world.spec, world.reset, world.observe
        self.act, self.legal, self.read = world.act, world.legal, world.read


def test_what_cannot_be_drawn_is_read_by_the_names_of_values(programs: dsl.ProgramSet, found: Run) -> None:
    world = Plain(programs.world)
    state = world.reset([found.problem.layout])
    lines = state_lines(world, state)
    assert lines == ["CAR: 1", "AZIMUTH: -30", "ELEVATION: 45", "TO_AZIMUTH: 0", "TO_ELEVATION: 15"]
    assert content_text(world.spec, "ELSEWHERE", [3, 1]) == "3, 1"
    assert content_text(world.spec, "CAR", []) == "nothing"
    order = np.concatenate([[event.call] for event in found.events])
    obs = np.concatenate([[event.obs] for event in found.events])
    shots = states(world, found.problem.layout, order, obs, primitives=1)
    assert isinstance(shots, TextStates)
    assert "AZIMUTH: -15" in shots.texts


@pytest.mark.parametrize("grid", [15, 5])
def test_the_goal_is_the_target_pose(grid: int) -> None:
    world = Cars("street", CarsConfig(seen=3, unseen=0, novel=0, pixels=16, grid=grid))
    obs = world.observe(world.reset([{}, {"CAR": [2], "TO_AZIMUTH": [1], "TO_ELEVATION": [4]}])).fields_BF
    goal = world.goal(obs)
    names = [[world.spec.fields[i].values[v] for i, v in enumerate(row)] for row in goal.tolist()]
    assert names == [["0", "0", "15", "0", "15"], ["2", "-165", "60", "-165", "60"]]


def test_run_reads_named_inputs_and_prints_degrees(goto: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "canonicalise", "1", "elevation=45", "azimuth=-30", "--teacher", str(goto)]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "car 1 from azimuth -30°, elevation 45°; target 0°, 15°"
    verdict = "AZIMUTH = [0], ELEVATION = [15], expected AZIMUTH = [0], ELEVATION = [15]: right"
    assert lines[-4:-1] == ["car 1 from azimuth 0°, elevation 15°; target 0°, 15°", "", verdict]
    assert main([*words, "--every"]) == 0
    assert "from azimuth -15°, elevation 45°" in capsys.readouterr().out


def test_run_writes_an_animation(goto: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.gif"
    words = ["run", "canonicalise", "1", "azimuth=-30", "elevation=45", "--teacher", str(goto), "--quiet"]
    assert main([*words, "--animation", str(file)]) == 0
    calls = len(WAY) - 1 + 5  # and GOTO, HGOTO, RGOTO, VGOTO, DGOTO
    assert f"run.gif, {len(file.read_bytes()) / 1000:.1f} kB, {calls + 1} pictures" in capsys.readouterr().err
    image = pillow.open(file)
    assert image.n_frames == calls + 1


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        (["add", "1", "2", "--teacher", str(PROGRAMS / "addition.npi")], "a.gif", "world pad (scratchpad) has no pict"),
        (["canonicalise", "1", "0", "0"], "a.mp4", "name a file that ends in .gif"),
    ],
)
def test_animations_that_cannot_be_are_told(
    goto: Path, tmp_path: Path, task: list[str], name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = [] if "--teacher" in task else ["--teacher", str(goto)]
    assert main(["run", *task, *teacher, "--animation", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""
    assert not list(tmp_path.iterdir())


def test_an_animation_without_pillow_names_the_extra(goto: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    words = ["run", "canonicalise", "1", "0", "0", "--teacher", str(goto)]
    assert main([*words, "--animation", str(tmp_path / "run.gif")]) == 2
    assert "npi-engine[pictures]" in capsys.readouterr().err
    assert main([*words, "--html", str(tmp_path / "run.html")]) == 0  # a page needs nothing


def test_stills_are_what_was_seen_at_each_call(programs: dsl.ProgramSet, found: Run) -> None:
    shown = list(stills(programs, found))
    act = ("HGOTO", "RGOTO", "ACT(RIGHT)")
    assert [still.way[1:] for still in shown[:6]] == [(), act[:1], act[:2], act, act, ("VGOTO",)]
    assert {still.way[0] for still in shown[:-1]} == {"GOTO"}
    at = [WAY[i] for i in (0, 0, 0, 0, 1, 2, 2, 2, 3, 4)]
    for still, (azimuth, elevation) in zip(shown, at, strict=True):
        assert list(still.pictures) == ["view", "target"]
        assert (still.pictures["view"] == seen(programs.world, azimuth, elevation)).all()
        assert (still.pictures["target"] == seen(programs.world, 0, 15)).all()
        assert still.lines == (f"car 1 from azimuth {azimuth}°, elevation {elevation}°; target 0°, 15°",)
    assert (shown[-1].way, shown[-1].end, shown[-1].right) == ((), "right after 13 steps", True)


def test_a_gif_holds_the_pictures_enlarged(programs: dsl.ProgramSet, found: Run) -> None:
    shown = list(stills(programs, found))
    image = pillow.open(io.BytesIO(animation(shown)))
    assert image.info["loop"] == 0
    for number, still in enumerate(shown):
        image.seek(number)
        assert image.info["duration"] == (END_MS if number == len(shown) - 1 else STEP_MS)
        pixels = np.asarray(image.convert("RGB")).astype(int)
        for place, picture in enumerate(still.pictures.values()):
            left = 16 + place * (256 + 16)
            part = pixels[36 : 36 + 256, left : left + 256]
            expected = picture.astype(int).repeat(16, 0).repeat(16, 1)
            assert np.abs(part - expected).mean() < 4  # 256 colours
            assert (part.reshape(16, 16, 16, 16, 3).std((1, 3)) < 3).all()  # squares of one colour


def test_a_run_that_goes_wrong_says_so_at_its_end() -> None:
    picture = {"view": np.zeros((16, 16, 1), np.uint8)}
    colours = {}
    for right in (True, False):
        still = Still(picture, (), ("where",), "right after 3 steps" if right else "wrong after 3 steps", right)
        pixels = np.asarray(frame(still).convert("RGB")).reshape(-1, 3).astype(int)
        colours[right] = (pixels[:, 1] - pixels[:, 0]).max() > 50, (pixels[:, 0] - pixels[:, 1]).max() > 50
    assert colours == {True: (True, False), False: (False, True)}


def test_pixels_become_squares() -> None:
    grey = np.array([[[3], [200]]], np.uint8)
    assert enlarged(grey).shape == (128, 256, 3)
    assert np.unique(enlarged(grey)[:, :128]).tolist() == [3]
    assert enlarged(np.zeros((300, 20, 3), np.uint8)).shape == (300, 20, 3)


def test_a_long_way_keeps_its_ends() -> None:
    assert fitted(["A", "B", "C", "D"], 13, len) == "A > B > C > D"
    assert fitted(["A", "B", "C", "D"], 12, len) == "A > … > D"
    assert fitted(["A", "B", "C", "D", "E", "F"], 17, len) == "A > … > D > E > F"
    assert fitted(["A", "B"], 1, len) == "A > B"


def test_picture_states_show_what_was_observed(programs: dsl.ProgramSet, found: Run) -> None:
    take, notes = take_of(programs, found.problem, found.trace, by="teacher")
    shots = take.states
    assert isinstance(shots, PictureStates)
    assert notes == []
    assert shots.captions == ("view", "target")
    assert len(set(shots.pictures)) == len(shots.pictures) == len(WAY)  # the target's is the last one's
    turns, shown = unfold(shots.turns, 3), list(shots.shown)
    for step in range(found.steps + 1):
        pose = found.events[step].obs if step < found.steps else (1, 12, 1, 12, 1)
        for picture, azimuth, elevation in zip(shown, (pose[1], 12), (pose[2], 1), strict=True):
            pixels = np.asarray(pillow.open(io.BytesIO(shots.pictures[picture])))
            assert (pixels == seen(programs.world, 15 * (azimuth - 12), 15 * elevation)).all()
        for place, number in turns.get(step, ()):
            shown[place] = number


def test_a_page_holds_each_picture_once(programs: dsl.ProgramSet, found: Run) -> None:
    take, _ = take_of(programs, found.problem, found.trace, by="teacher")
    text = page("cars", [take])
    data = document(text)
    assert [field["pictured"] for field in data["fields"]] == [True, True, True, False, False]
    shots = data["runs"][0]["states"]
    assert shots["kind"] == "picture"
    assert text.count("data:image/png;base64,") == len(WAY)
    held = [base64.b64decode(picture.partition(",")[2]) for picture in data["pictures"]]
    assert [held[place] for place in shots["pictures"]] == list(take.states.pictures)  # type: ignore[union-attr]
    assert "img-src data:;" in text
    assert "<img" not in text
    shorter = teacher_run(programs, "canonicalise", "car=1", "azimuth=0", "elevation=60")
    other, _ = take_of(programs, shorter.problem, shorter.trace, by="core")
    text = page("cars", [take, other])
    assert text.count("data:image/png;base64,") == len(WAY) + 1  # the way down from 45 degrees is the same
    last = document(text)["runs"][1]["states"]
    assert len(last["pictures"]) == 4
    assert last["pictures"][last["shown"][1]] == shots["pictures"][shots["shown"][1]]


def test_pixels_survive_a_png() -> None:
    generator = np.random.default_rng(4)
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        pixels = generator.integers(0, 256, (7, 11, channels), np.uint8)
        image = pillow.open(io.BytesIO(png(pixels)))
        assert image.mode == mode
        assert (np.asarray(image).reshape(pixels.shape) == pixels).all()
    for wrong in (np.zeros((7, 11), np.uint8), np.zeros((7, 11, 2), np.uint8), np.zeros((7, 11, 3))):
        with pytest.raises(ValueError, match="it has to be uint8, height × width × 1, 3 or 4"):
            png(wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_browser_shows_the_pictures(programs: dsl.ProgramSet, found: Run, tmp_path: Path) -> None:
    take, _ = take_of(programs, found.problem, found.trace, by="teacher")
    file = tmp_path / "page.html"
    file.write_text(page("cars", [take]))
    numbers = list(walked(found))
    with browser() as window:
        window.open(file)
        assert window.texts("#pad figcaption") == ["view", "target"]
        sources = "return [...document.querySelectorAll('#pad img')].map((image) => image.src)"
        for position in (*range(found.steps + 1), 0, 3):
            window.run("go(arguments[0])", position)
            view, target = window.run(sources)
            assert view == window.run("return data.pictures[arguments[0]]", numbers[position])
            assert target == window.run("return data.pictures[1]")
            azimuth, elevation = WAY[pose_of(found, position)]
            assert f"azimuth {azimuth}°, elevation {elevation}°" in window.text("#pad pre")
        images = "[...document.querySelectorAll('#pad img')]"
        loaded = f"return Promise.all({images}.map((image) => image.decode().then(() => image.naturalWidth)))"
        assert window.run(loaded) == [16, 16]
        assert window.texts(".chip.pictured .name") == list(FIELDS[:3])
        assert not window.complaints()


def pose_of(found: Run, position: int) -> int:
    """How many moves were made before a step."""
    return sum(event.call[0] == 0 for event in found.events[:position])


def walked(found: Run) -> Iterator[int]:
    """The picture of the camera at each position: number 0 at first, 1 the target, then one more for each move."""
    for position in range(found.steps + 1):
        moves = pose_of(found, position)
        yield 0 if moves == 0 else 1 if moves == len(WAY) - 1 else moves + 1
