"""One-shot runs: those that a recipe makes are of the published layout, and counts of wrong answers are right."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.learners.characters import official
from benchmarks.learners.characters.official import by_pictures, percent, write_runs, wrong
from envs.images.drawings import Drawings
from envs.images.official_runs import OneShotRun, one_shot_runs
from envs.images.strokes import strokes
from meta.few_shot.classic import nearest_pixels

pytest.importorskip("PIL")

SIDE = 105


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    """Black and white, as published ones are."""
    return strokes(SIDE, alphabets=2, characters=7, drawers=3, seed=11)


def test_runs_are_of_the_published_layout_and_of_two_drawers(drawings: Drawings, tmp_path: Path) -> None:
    write_runs(tmp_path, drawings, 3, seed=5)
    names = [f"{number:02}.png" for number in range(1, 8)]
    for number in range(1, 4):
        home = tmp_path / f"run{number:02}"
        assert sorted(path.name for path in (home / "training").iterdir()) == [f"class{name}" for name in names]
        assert sorted(path.name for path in (home / "test").iterdir()) == [f"item{name}" for name in names]
    runs = one_shot_runs(tmp_path, SIDE)
    for number, run in enumerate(runs):
        known = [_found(drawings, picture_SS) for picture_SS in run.training_CSS]
        asked = [_found(drawings, picture_SS) for picture_SS in run.test_QSS]
        assert sorted(run.answer_Q.tolist()) == list(range(7))
        assert [drawings.class_N[place] for place in asked] == [
            drawings.class_N[known[answer]] for answer in run.answer_Q
        ]
        assert {int(drawings.group_C[drawings.class_N[place]]) for place in known} == {number % 2}
        teachers, pupils = ({int(drawings.drawer_N[place]) for place in places} for places in (known, asked))
        assert len(teachers) == len(pupils) == 1
        assert teachers != pupils
    assert any(run.answer_Q.tolist() != list(range(7)) for run in runs)  # answers are not in order


def _found(drawings: Drawings, picture_SS: np.ndarray) -> int:
    """The place of the drawing that is this picture, pixel by pixel."""
    (same,) = np.flatnonzero((drawings.picture_NSS == picture_SS).all((1, 2)))
    return int(same)


def test_no_two_drawers_with_enough_in_common_are_told(drawings: Drawings, tmp_path: Path) -> None:
    apart = Drawings(
        drawings.picture_NSS, drawings.class_N, np.arange(len(drawings)), drawings.group_C, drawings.class_names,
        drawings.group_names,
    )  # fmt: skip
    with pytest.raises(ValueError, match="alphabet001: no two drawers have drawn 7 characters in common"):
        write_runs(tmp_path, apart, 1)


def test_wrong_answers_are_counted_run_by_run() -> None:
    picture_CSS = np.zeros((3, 4, 4), np.uint8)
    picture_CSS[[0, 1, 2], [0, 1, 2]] = 255
    runs = [
        OneShotRun("run01", picture_CSS, picture_CSS[[2, 0, 1]], np.array([2, 0, 1]), ("a", "b", "c")),
        OneShotRun("run02", picture_CSS, picture_CSS[[2, 0, 1]], np.array([2, 1, 0]), ("a", "b", "c")),
    ]
    counts = wrong(runs, by_pictures(nearest_pixels))
    assert counts == [0, 2]
    assert percent(runs, counts) == pytest.approx(100 * 2 / 6)


def test_the_command_scores_a_folder_by_the_core_that_ships(
    drawings: Drawings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red where pictures of tests and of training change places, or answers are read in another order."""
    pytest.importorskip("sklearn")
    write_runs(tmp_path, drawings, 2)
    monkeypatch.setattr("sys.argv", ["official", str(tmp_path), "--library", "few_shot"])
    monkeypatch.setattr(official, "COPIES", 1)
    official.main()
    one, copies = capsys.readouterr().out.splitlines()
    assert one.startswith("0 copies: ")
    assert copies.startswith("1 copies: ")
    assert float(one.split()[2]) < 40  # by chance 86
    monkeypatch.setattr("sys.argv", ["official", str(tmp_path)])
    with pytest.raises(SystemExit):
        official.main()
    assert "give RUNS and --background or --library" in capsys.readouterr().err
