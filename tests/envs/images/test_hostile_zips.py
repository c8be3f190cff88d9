"""Zips of pictures that unpack to more than they tell, and names of folders that are no text."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from envs.images.sources import open_source
from envs.images.world import Images

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def png() -> bytes:
    ink_HW, file = np.full((20, 20), 255, np.uint8), io.BytesIO()
    ink_HW[5:10, 5:15] = 0
    Image.fromarray(ink_HW).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_unpack_at_once_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
        file.writestr("a/1.png", png())
    with pytest.raises(ValueError, match=rf"a\.zip/a/1\.png: .*packed by the method {method}"):
        open_source(tmp_path / "a.zip")


def test_a_part_that_tells_too_small_a_size_takes_no_more_memory(tmp_path: Path) -> None:
    """Red where a part is read to its end and cut to its size then."""
    import tracemalloc

    size = 64 << 20
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", bytes(size))
    told = (tmp_path / "a.zip").read_bytes().replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(told)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.zip/a/1\.png"):
        open_source(tmp_path / "a.zip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_names_that_are_no_text_are_drawn_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from envs.images.episode_picture import shown_episode, write_episode

    for name in (b"\x1b]0;x\x07", b"\xff", b"plain"):
        folder = os.fsencode(tmp_path) + b"/pictures/" + name
        try:
            os.makedirs(folder)
        except OSError:
            pytest.skip("no such names on this disk")
        for number in range(2):
            Path(os.fsdecode(folder), f"{number}.png").write_bytes(png())
    monkeypatch.setenv("NPI_DATA", f'{{"mine": "{tmp_path}/pictures"}}')
    world = Images("w", {"data": "mine", "ways": 3, "within": "all", "queries": 3})
    state = world.reset([{"EPISODE": [1], "SPLIT": [0]}])
    shown = shown_episode(world, state)
    page = write_episode(Path("a.html"), "episode", shown).decode()
    assert page.isprintable() or not set(page) & {"\x1b", "\x07"}
    assert write_episode(Path("a.png"), "episode", shown).startswith(b"\x89PNG")
