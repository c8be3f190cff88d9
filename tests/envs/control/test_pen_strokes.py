"""Files of strokes that anybody may have made: read as they are, or refused by name and line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from envs.control.pen_strokes import MAX_STROKES, generated, opened, parsed, split_numbers
from envs.images.alphabets import StrokesConfig
from envs.images.strokes import strokes as pictures
from envs.images.strokes import trajectories

SOUND = "START\n1.5,-2,0\n3,-4.25,17\nBREAK\n\n5,5,90\nBREAK\n"


def folder(path: Path, names: list[str], text: str = SOUND) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def test_a_file_is_read_as_it_is() -> None:
    first, second = parsed(SOUND.encode(), "one.txt")
    assert first.tolist() == [[1.5, -2.0], [3.0, -4.25]]
    assert second.tolist() == [[5.0, 5.0]]
    assert [len(part) for part in parsed(SOUND.replace("\n", "\r\n").encode(), "one.txt")] == [2, 1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "0 points"),
        ("1,2,3\n", "line 1: '1,2,3'; a file of strokes begins with START"),
        ("START\n1,2\nBREAK\n", "line 2: '1,2'; expected three numbers x,y,t, or BREAK"),
        ("START\n1,2,3\nnan,2,3\nBREAK\n", "line 3: 'nan,2,3'; numbers are finite"),
        ("START\n1,2,3\n1e9,2,3\nBREAK\n", "at most 1,000,000 away"),
        ("START\n1,2,inf\nBREAK\n", "line 2"),
        ("START\nBREAK\n", "line 2: BREAK behind no point"),
        ("START\n1,2,3\n4,5,6\n", "its last stroke has no end; write BREAK behind it"),
        ("START\n1,2,3\n1,2,4\nBREAK\n", "all points are at one place"),
        ("START\n1,2,3\nSTART\nBREAK\n", "line 3: 'START'"),
        ("START\n" + "1,2,3\n" * 20_001 + "BREAK\n", "20,001 points; expected 2 to 20,000"),
        ("START\n" + "x" * 1000 + "\nBREAK\n", "line 2: '" + "x" * 40 + "'"),
        ("START\n١,2,3\nBREAK\n", "no text; expected START"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, told: str) -> None:
    place = folder(tmp_path, ["a/b/one_01.txt"], text)
    with pytest.raises(ValueError) as caught:
        opened(str(place))
    assert "one_01.txt" in str(caught.value)
    assert told in str(caught.value)


def test_alphabets_characters_and_drawers_come_from_names(tmp_path: Path) -> None:
    names = ["Latin/c01/0001_01.txt", "Latin/c01/0001_02.txt", "Latin/c02/0002_01.txt", "Greek/c01/0003_01.txt"]
    found = opened(str(folder(tmp_path / "whole" / "around", names).parent))
    assert found.group_names == ("Greek", "Latin")
    assert found.group_N.tolist() == [0, 1, 1, 1]
    assert found.character_N.tolist() == [0, 1, 1, 2]
    assert found.drawer_N.tolist() == [1, 1, 2, 1]
    assert all(len(number_N) == 4 for number_N in split_numbers(found, 0).values()), "too few to be divided"


def test_a_zip_is_read_and_a_file_alone(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("all/Latin/c01/0001_07.txt", SOUND)
        archive.writestr("__MACOSX/all/Latin/c01/._0001_07.txt", b"\0\0")
    (tmp_path / "all.zip").write_bytes(content.getvalue())
    assert opened(str(tmp_path / "all.zip")).drawer_N.tolist() == [7]
    (tmp_path / "mine.txt").write_text(SOUND)
    assert len(opened(str(tmp_path / "mine.txt"))) == 1


def test_what_is_no_folder_of_strokes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0 files of strokes \(\.txt\); expected 1 to 100,000"):
        opened(str(folder(tmp_path / "none", ["a/b/c.png"])))
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"broken\.zip: neither a folder nor a zip"):
        opened(str(tmp_path / "broken.zip"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b/bomb_01.txt", b"\n" * (2 << 20))
    (tmp_path / "bomb.zip").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match=r"bomb_01\.txt: 2,097,152 bytes unpacked; 1,048,576 are allowed"):
        opened(str(tmp_path / "bomb.zip"))
    link = tmp_path / "links" / "a" / "b"
    link.mkdir(parents=True)
    (link / "one_01.txt").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match=r"one_01\.txt: a link to .*are not followed"):
        opened(str(tmp_path / "links"))


def test_drawings_of_many_strokes_are_left_out(tmp_path: Path) -> None:
    many = "START\n" + "".join(f"{n},0,0\n{n},1,0\nBREAK\n" for n in range(MAX_STROKES + 1))
    place = folder(tmp_path, ["a/b/one_01.txt"])
    folder(tmp_path, ["a/b/two_02.txt"], many)
    found = opened(str(place))
    assert (len(found), found.left_out) == (1, 1)
    with pytest.raises(ValueError, match=r"more than 8 strokes, as all drawings"):
        opened(str(folder(tmp_path / "other", ["a/b/three_03.txt"], many)))


def test_generated_strokes_are_those_of_the_pictures() -> None:
    """The ink of a picture lies where its paths are."""
    config = StrokesConfig()
    ((point_BKM, segments_BK),) = trajectories(alphabets=1, characters=3, drawers=2, config=config)
    found = pictures(105, alphabets=1, characters=3, drawers=2)
    for picture, points, counts in zip(found.picture_NSS, point_BKM, segments_BK, strict=True):
        for line, count in zip(points, counts.tolist(), strict=True):
            for point in line[: count + 1] if count else ():
                assert picture[min(104, int(point.imag)), min(104, int(point.real))] > 0
    drawings = generated(2)
    assert len(drawings) + drawings.left_out == 400
    assert all(np.isfinite(np.concatenate(one)).all() for one in drawings.strokes)
