"""The core that comes with the engine and names pictures: its card, its numbers, and a user's folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs.images import bindings, data
from envs.images.strokes import generated_drawings
from meta.few_shot import FewShotClassifier
from meta.few_shot.classifier import SHIPPED
from npi.cli.main import main
from npi.learners.core import learner_program_core
from npi.library.examples import CARD
from npi.library.library import Library

SEED = 12345
"""Of alphabets that its training never drew."""


def test_the_card_is_of_this_core_and_its_numbers_have_16_bits() -> None:
    library = Library.open(SHIPPED)
    assert library.core.digest()[:16] in (SHIPPED / CARD).read_text()
    for name, part in learner_program_core(library.core).net.state_dict().items():
        assert (part == part.half().float()).all(), name
    rows_NP = library.memory.embeddings_NP
    assert (rows_NP[0] == rows_NP[1]).all()
    assert [info.name for info in library.memory.infos] == ["characters.NAME", "folder.NAME"]
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 900_000


def test_it_names_characters_of_new_alphabets_from_one_drawing() -> None:
    """By chance 5 % are right, by the nearest pixels some 20 %."""
    drawings = generated_drawings(64, alphabets=2, characters=20, drawers=3, seed=SEED)
    right = []
    for group in range(2):
        own_N = np.isin(drawings.class_N, drawings.of_group(group))
        example_N, other_N = own_N & (drawings.drawer_N == 0), own_N & (drawings.drawer_N > 0)
        classifier = FewShotClassifier().fit(drawings.picture_NSS[example_N], drawings.class_N[example_N])
        right.append(classifier.score(drawings.picture_NSS[other_N], drawings.class_N[other_N]))
    assert np.mean(right) > 0.5, right


def test_a_folder_is_measured_and_drawn_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(bindings.VARIABLE, "{}")
    monkeypatch.setattr(data, "_HELD", {})
    monkeypatch.chdir(tmp_path)
    drawings = generated_drawings(48, alphabets=1, characters=6, drawers=3, seed=SEED)
    for number, picture_SS in enumerate(drawings.picture_NSS):
        place = tmp_path / "mine" / drawings.class_names[drawings.class_N[number]] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - picture_SS).save(place)
    command = ["eval", "folder", "--library", "few_shot", "--data", "folder=mine", "--count", "3", "--json"]
    assert main([*command, "--picture", "episode.png"]) == 0
    (score,) = json.loads(capsys.readouterr().out)
    assert (score["task"], score["count"]) == ("folder.folder", 3)
    assert score["scores"]["accuracy"][0] > 0.5
    first = (tmp_path / "episode.png").read_bytes()
    with Image.open(tmp_path / "episode.png") as sheet:
        assert sheet.height > 6 * 50  # a row for each class
    assert main([*command, "--picture", "episode.png"]) == 0
    assert (tmp_path / "episode.png").read_bytes() == first
    assert main([*command, "--picture", "page.html", "--seed", "1"]) == 0
    assert "mine/character01" in (tmp_path / "page.html").read_text()
    capsys.readouterr()
    assert main([*command[:1], *command[2:], "--picture", "episode.png"]) == 2
    assert "takes the name of one task" in capsys.readouterr().err
    assert main([*command, "--picture", "episode.gif"]) == 2
    assert "ends in .png or .html" in capsys.readouterr().err
    assert main(["eval", "insertionsort.sort", "--library", "universal", "--picture", "e.png"]) == 2
    assert "--picture does not apply without --meshes: it draws episodes" in capsys.readouterr().err
