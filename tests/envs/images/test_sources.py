"""Folders and zips of pictures in the published layouts and in others; what cannot be read is refused by name."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from envs.images import trees
from envs.images.drawings import Drawings
from envs.images.folders import folders
from envs.images.official_runs import one_shot_runs
from envs.images.packed import BYTES
from envs.images.sources import open_source
from tests.envs.images.picture_trees import drawing, official_runs, png, published, write_tree, write_zip


def same(first: Drawings, second: Drawings) -> bool:
    return first.fingerprint() == second.fingerprint()


def test_the_published_layout_in_a_folder_and_in_a_zip(tmp_path: Path) -> None:
    files, ink_NSS = published({"Latin": 3, "Greek": 2}, drawers=2)
    background = write_tree(tmp_path / "images_background", files)
    drawings = open_source(background, 21)
    names = [drawings.full_name(number) for number in range(drawings.classes)]
    assert names == [
        f"{a}/character{c:02}" for a, c in [("Greek", 1), ("Greek", 2), *(("Latin", c) for c in (1, 2, 3))]
    ]
    assert drawings.group_names == ("Greek", "Latin")
    assert drawings.class_N.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert drawings.drawer_N.tolist() == [0, 1] * 5
    np.testing.assert_array_equal(drawings.picture_NSS, ink_NSS * 255)
    around = {f"images_background/{name}": data for name, data in files.items()} | {
        "__MACOSX/images_background/._x.png": b"", "images_background/.DS_Store": b"", "readme.txt": b"",
    }  # fmt: skip
    assert same(open_source(write_zip(tmp_path / "a.zip", around), 21), drawings)
    assert same(open_source(write_tree(tmp_path / "around", around), 21), drawings)
    assert same(folders(background, 21), drawings)


def test_classes_alone_are_one_group(tmp_path: Path) -> None:
    files = {f"{kind}/{name}.png": png(drawing(ord(name))) for kind, name in ("ab", "ac", "bd")}
    drawings = open_source(write_tree(tmp_path / "mine", files), 21)
    assert drawings.group_names == ("mine",)
    assert drawings.class_names == ("a", "b")
    assert drawings.drawer_N.tolist() == [-1, -1, -1]
    np.testing.assert_array_equal(drawings.picture_NSS[2], drawing(ord("d")) * 255)
    assert same(open_source(write_zip(tmp_path / "mine.zip", files), 21), drawings)


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        open_source(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_other_layouts_are_refused_by_name(tmp_path: Path) -> None:
    one = png(drawing(1))
    assert "a.png: it is not where the others are" in refused(write_tree(tmp_path / "flat", {"a.png": one}))
    mixed = write_tree(tmp_path / "mixed", {"a/b/c.png": one, "a/d.png": one})
    assert "a/d.png: it is not where the others are" in refused(mixed)
    deep = write_tree(tmp_path / "deep", {"a/b/c/d.png": one, "e/f/g/h.png": one})
    assert "a/b/c/d.png: it is not" in refused(deep)
    assert "no pictures" in refused(write_tree(tmp_path / "none", {"a/b/readme.txt": b"hello"}))
    too_deep = write_tree(tmp_path / "far", {f"{'a/' * 12}b.png": one})
    assert "more than 8 folders in folders" in refused(too_deep)


def test_a_broken_picture_is_refused_by_name(tmp_path: Path) -> None:
    files, _ = published({"Latin": 2}, drawers=2)
    broken = files | {"Latin/character02/0002_02.png": b"no picture"}
    assert "Latin/character02/0002_02.png: it cannot be read" in refused(write_tree(tmp_path / "a", broken))
    assert "Latin/character02/0002_02.png: it cannot be read" in refused(write_zip(tmp_path / "a.zip", broken))


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    files, _ = published({"Latin": 2}, drawers=1)
    other = write_tree(tmp_path / "other", files)
    root = write_tree(tmp_path / "root", files)
    (root / "Latin" / "character03").mkdir()
    inside = root / "Latin" / "character03" / "0003_01.png"
    inside.symlink_to(root / "Latin" / "character01" / "0001_01.png")
    assert len(open_source(root)) == 3
    inside.unlink()
    inside.symlink_to(other / "Latin" / "character01" / "0001_01.png")
    assert f"{inside}: a link to" in refused(root)
    inside.unlink()
    (root / "Latin" / "loop").symlink_to(root)
    assert "links to folders and out of" in refused(root)


def test_links_that_lead_to_themselves_are_named(tmp_path: Path) -> None:
    """Red where links are followed by what raises on circles, with a message of no file."""
    files, _ = published({"Latin": 2}, drawers=1)
    root = write_tree(tmp_path / "root", files)
    there = open_source(root, 21)
    (root / "Latin" / "character01" / "notes").symlink_to("notes")  # no picture's name: nobody opens it
    assert same(open_source(root, 21), there)
    loop = root / "Latin" / "character01" / "0001_02.png"
    loop.symlink_to(loop.name)
    with pytest.raises(OSError) as error:
        open_source(root)
    assert error.value.filename == str(loop)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError) as error:
        open_source(tmp_path / "loop")
    assert error.value.filename == str(tmp_path / "loop")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    os.mkfifo(tmp_path / "a" / "b" / "c.png")
    assert "a pipe" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe" in refused(tmp_path / "pipe")


def test_counts_and_sizes_are_bounded(tmp_path: Path, monkeypatch) -> None:
    files, _ = published({"Latin": 4}, drawers=1)
    monkeypatch.setattr(trees, "MAX_FILES", 3)
    assert "more than 3 files" in refused(write_tree(tmp_path / "many", files))
    assert "more than 3 files" in refused(write_zip(tmp_path / "many.zip", files))
    monkeypatch.setattr("envs.images.folders.FILE_BYTES", 1000)
    large = {"a/b/c.png": b"\0" * 1001}
    assert "1,001 bytes unpacked; 1,000 are allowed" in refused(write_zip(tmp_path / "large.zip", large))
    assert "c.png: more than 0 KiB" in refused(write_tree(tmp_path / "large", large))


def test_zips_that_are_not_as_they_should_be(tmp_path: Path) -> None:
    one = png(drawing(1))
    assert "leads out of the zip" in refused(write_zip(tmp_path / "out.zip", {"../a/b.png": one}))
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a/b.png", one)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/b.png", one)
    assert "two files of one name" in refused(tmp_path / "twice.zip")
    whole = write_zip(tmp_path / "whole.zip", {"a/b.png": one}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert "neither a folder nor a zip" in refused(tmp_path / "cut.zip")
    damaged = bytearray(whole)
    damaged[30 + len("a/b.png") + 3] ^= 0xFF  # behind the header and the name: what is packed
    (tmp_path / "damaged.zip").write_bytes(damaged)
    assert "a/b.png: it cannot be" in refused(tmp_path / "damaged.zip")
    assert "no pictures" in refused(write_zip(tmp_path / "empty.zip", {}))


def test_files_of_something_else_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    assert "neither a folder nor a zip" in refused(tmp_path / "a.txt")
    with pytest.raises(OSError, match="nothing"):
        open_source(tmp_path / "nothing")
    with pytest.raises(ValueError, match="size is 0 pixels"):
        open_source(tmp_path, 0)


def test_packed_files_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image_id=np.array([7]), bits=np.full((1, BYTES), 255, np.uint8))
    drawings = open_source(tmp_path / "a.npz")
    assert drawings.full_name(0) == "Arcadian/character01"
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    assert "arrays x; expected image_id and bits" in refused(tmp_path / "other.npz")


@pytest.mark.parametrize("around", ["", "all_runs/"])
def test_official_runs_and_their_answers(tmp_path: Path, around: str) -> None:
    files, answers = official_runs(3)
    placed = {around + name: data for name, data in files.items()}
    for path in (write_tree(tmp_path / "runs", placed), write_zip(tmp_path / "runs.zip", placed)):
        runs = one_shot_runs(path, 21)
        assert [run.name for run in runs] == ["run01", "run02", "run03"]
        for number, (run, right) in enumerate(zip(runs, answers, strict=True), 1):
            assert run.answer_Q.tolist() == right
            assert run.class_names == tuple(f"class{place:02}" for place in range(1, 6))
            wanted = np.stack([drawing(100 * number + place) for place in range(5)])
            np.testing.assert_array_equal(run.training_CSS, wanted * 255)
            wanted = np.stack([drawing(100 * number + 50 + place) for place in range(5)])
            np.testing.assert_array_equal(run.test_QSS, wanted * 255)
        drawings = open_source(path, 21)
        assert (drawings.groups, drawings.classes, len(drawings)) == (3, 15, 30)
        item = answers[1].index(2)
        first, second = drawings.of_class(5 + 2)
        np.testing.assert_array_equal(drawings.picture_NSS[first], runs[1].training_CSS[2])
        np.testing.assert_array_equal(drawings.picture_NSS[second], runs[1].test_QSS[item])
        assert drawings.full_name(7) == "run02/class03"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run01/class_labels.txt": b"run01/test/item01.png"}, "class_labels.txt, line 1: 1 names; expected"),
        ({"run01/class_labels.txt": b"\n"}, "class_labels.txt: no lines"),
        ({"run01/class_labels.txt": b"test/item01.png training/class09.png"}, "line 1: there is no "),
        (
            {"run01/class_labels.txt": b"test/item01.png training/class01.png\n" * 2},
            "line 2: run01/test/item01.png is in",
        ),
        ({"run01/test/item09.png": png(drawing(9))}, "item09.png: "),
        ({"run01/test/item02.png": b""}, "item02.png: an empty file"),
    ],
)
def test_runs_whose_labels_do_not_fit_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    files, _ = official_runs(1)
    path = write_tree(tmp_path / "runs", files | change)
    with pytest.raises(ValueError) as caught:
        one_shot_runs(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    files, _ = published({"Latin": 1}, drawers=1)
    with pytest.raises(ValueError, match=r"no runs; expected runNN/class_labels\.txt"):
        one_shot_runs(write_tree(tmp_path / "a", files))
