"""Animations of worlds that are drawn as text: their drawings, cell by cell, as on their pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dsl import load
from npi import examples
from npi.cli.main import main
from npi.jobs.learners import new_library, usual_config
from npi.learners.tasks import learner_for, training_tasks
from traces.viewing.animation import CELL_HEIGHT, CELL_WIDTH, text_pictures

image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("file", ["reaching", "stacking", "puzzlebox", "pen", "heavier"])
def test_a_run_is_drawn(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a core that nobody trained, a few steps."""
    programs = load(examples() / "learning" / f"{file}.npi")
    library = new_library(usual_config(learner_for(programs)), training_tasks(programs), [programs], seed=0)
    library.save(tmp_path / "library")
    found = next(one for one in programs.tasks if one.program == training_tasks(programs)[0].program.id)
    words = ["run", found.name, "7", "--library", str(tmp_path / "library"), "--steps", "4", "--quiet"]
    assert main([*words, "--animation", str(tmp_path / "run.gif")]) == 1, "it is not solved in four steps"
    assert "wrote" in capsys.readouterr().err
    with image.open(tmp_path / "run.gif") as made:
        assert 2 <= made.n_frames <= 6
        assert np.asarray(made.convert("L")).min() < 100, "there is ink"


def test_drawings_are_pictures_of_one_size() -> None:
    high, low = ["ab c", "", "a  a"], ["a"]
    first, second = text_pictures([high, low])
    assert first.shape == second.shape == (3 * CELL_HEIGHT, 4 * CELL_WIDTH, 1)

    def cell(pixels: np.ndarray, row: int, column: int) -> np.ndarray:
        return pixels[row * CELL_HEIGHT : (row + 1) * CELL_HEIGHT, column * CELL_WIDTH : (column + 1) * CELL_WIDTH]

    letter = cell(first, 0, 0)
    assert letter.min() < 100
    for other in (cell(first, 2, 0), cell(first, 2, 3), cell(second, 2, 0)):
        assert (other == letter).all(), "the last line stands at the bottom"
    assert (cell(first, 0, 1) != letter).any()
    for blank in (cell(first, 0, 2), cell(first, 1, 0), cell(second, 0, 0), cell(second, 2, 1)):
        assert (blank == 255).all()
