"""The reproduction in small: few cars, small pictures, cores that learn next to nothing, in seconds."""

import shutil
from pathlib import Path

from npi.core.config import CoreConfig
from npi.reproduce.recipe import LEARNED, Recipe
from npi.reproduce.stages import Work, begin
from tests.support.paths import PROGRAMS

FEW = {"updates": 2, "frames": 8, "check_every": 2, "problems": 2}

TINY = Recipe(
    name="tiny",
    seeds=(0,),
    core=CoreConfig(hidden=11, bits=2, row=7, key=5),
    traces={"addition": 1, "bubblesort": 1, "goto": 6, LEARNED: 1},
    training=dict.fromkeys(("addition", "bubblesort", "goto", "multi", "samples"), FEW),
    learning={"updates": 2, "starts": 1, "frames": 4, "check_every": 2, "problems": 2},
    problems=3,
    poses=4,
    pixels=16,
    samples=(1, 2),
    sample_size=4,
    lengths={"sorting": {3: 2, 5: 2}, "digits": {2: 2}},
)


def few_cars(folder: Path) -> Path:
    """The program files, with two cars to learn from, and one of each other kind; returns the folder."""
    for name in ("addition", "bubblesort", "max"):
        shutil.copy(PROGRAMS / f"{name}.npi", folder)
    text = (PROGRAMS / "goto.npi").read_text()
    few = {"seen: 500, unseen: 60, novel: 60": "seen: 2, unseen: 1, novel: 1", "car >= 560": "car >= 3"}
    few |= {"car >= 500 and car < 560": "car >= 2 and car < 3", "car < 500": "car < 2"}
    for old, new in few.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "goto.npi").write_text(text)
    return folder


def work_in(folder: Path, programs: Path, recipe: Recipe = TINY) -> Work:
    """A folder to work in."""
    return begin(folder, programs, recipe)
