"""Episodes as pictures: what is on them, marks of errors, names escaped, the same each time."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from envs.images.drawings import Drawings
from envs.images.episode_picture import (
    CELL,
    FRAME,
    RIGHT,
    WRONG,
    Answer,
    ClassShown,
    as_page,
    as_png,
    shown_episode,
    summary,
    write_episode,
)
from envs.images.world import Images
from envs.stepper import Action
from tests.support.tiny_drawings import tiny_drawings

EVIL = '<script>alert("1")</script>'


def episode() -> list[ClassShown]:
    """Three classes; one of four answers is wrong."""
    draw = np.random.default_rng(0)
    one, two, three, *rest = draw.integers(0, 256, (7, 16, 16)).astype(np.uint8)
    return [
        ClassShown("alphabet/alef", [one], [Answer(rest[0], 0), Answer(rest[1], 2)]),
        ClassShown(EVIL, [two], [Answer(rest[2], 1)]),
        ClassShown("c & d", [three], [Answer(rest[3], 2)]),
    ]


class Reader(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_all_pictures_and_marks_errors() -> None:
    page = Reader(as_page("<b>title</b>", episode()))
    images = [about for tag, about in page.elements if tag == "img"]
    assert len(images) == 3 + 4
    assert {tag for tag, _ in page.elements} & {"script", "b"} == set()
    assert EVIL in page.text
    assert "<b>title</b>: 3 of 4 right" in page.text
    told = [about["alt"] for about in images if "wrong" in str(about["alt"])]
    assert told == ["alphabet/alef, named wrong: 3 c & d"]
    for about in images:
        content = base64.b64decode(str(about["src"]).removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(content)).size == (CELL, CELL)


def test_the_sheet_frames_answers_green_and_red() -> None:
    colour_HW3 = np.asarray(Image.open(io.BytesIO(as_png("title", episode()))).convert("RGB"))
    for colour, frames in ((RIGHT, 3), (WRONG, 1)):
        whole = int((colour_HW3 == colour).all(2).sum())
        frame = (CELL + 2 * FRAME) ** 2 - CELL**2
        assert frames * frame <= whole < (frames + 0.5) * frame
    other = [ClassShown(one.name, one.support, [Answer(a.picture_SS, 0) for a in one.answers]) for one in episode()]
    assert as_png("title", other) != as_png("title", episode()) == as_png("title", episode())


def test_an_episode_of_the_world_is_shown_as_it_went() -> None:
    """Pictures tell their classes: the first pixel is the class + 1."""
    drawings: Drawings = tiny_drawings({"a": 5, "b": 4})
    world = Images("cards", {"data": "tiny", "ways": 4, "shots": 2, "queries": 9, "pixels": 8}, data={"tiny": drawings})
    state = world.reset([{"EPISODE": [number]} for number in range(3)])
    said = []
    for step in range(9):
        label_B = state.label_BQ[:, step] if step % 2 else torch.ones(3, dtype=torch.int64)
        said.append(label_B)
        world.act(state, Action(torch.stack([0 * label_B, label_B, 0 * label_B, 0 * label_B], 1)), ~world.ended(state))
    for instance in range(3):
        shown = shown_episode(world, state, instance)
        assert len(shown) == 4
        for place, one in enumerate(shown):
            classes = {int(picture_SS[0, 0]) - 1 for picture_SS in (*one.support, *(a.picture_SS for a in one.answers))}
            assert len(one.support) == 2
            assert {drawings.full_name(number) for number in classes} == {one.name}
            own = [int(b[instance]) - 1 for b, c in zip(said, state.label_BQ[instance], strict=True) if c == place + 1]
            assert [answer.said for answer in one.answers] == own
        right = int((torch.stack(said)[:, instance] == state.label_BQ[instance]).sum())
        assert summary(shown) == f"{right} of 9 right"


def test_files_of_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"episode\.gif: .* ends in \.png or \.html"):
        write_episode(tmp_path / "episode.gif", "title", episode())
    assert write_episode(tmp_path / "e.PNG", "title", episode())[:4] == b"\x89PNG"
    assert re.match(rb"<!doctype html>", write_episode(tmp_path / "e.html", "title", episode()))
