"""Pictures in any format, colours, depth and polarity become ink on paper, or are refused by name."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.images.picture_files import CLEAR, FORMATS, light_paper, read_picture, settled
from envs.images.resizing import resized
from tests.envs.images.picture_trees import drawing, pillow, png

INK_SS = drawing(1)


def read_one(data: bytes, size: int = 21) -> np.ndarray:
    return settled([[read_picture("a/b.png", data, size)]])[0]


def encoded(image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colours(light_SS: np.ndarray, mode: str):
    """A picture of these greys, 0 to 255, in a mode of Pillow's."""
    if mode == "I;16":
        return pillow.fromarray(light_SS.astype(np.uint16) * 257)
    if mode == "P":
        return pillow.fromarray(light_SS).convert("RGB").quantize(4)
    return pillow.fromarray(light_SS).convert(mode)


@pytest.mark.parametrize("light_ink", [False, True])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_gives_the_same_ink(mode: str, light_ink: bool) -> None:
    light_SS = np.where(INK_SS ^ light_ink, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(read_one(encoded(colours(light_SS, mode))), INK_SS * 255)


@pytest.mark.parametrize("kind", sorted(set(FORMATS.values())))
def test_every_format_gives_the_same_ink(kind: str) -> None:
    found = read_one(png(np.kron(INK_SS, np.ones((8, 8), bool)), kind=kind))
    assert abs(found.astype(int) - INK_SS * 255).max() <= (20 if kind == "JPEG" else 0)


@pytest.mark.parametrize("ink", [0, 255])
def test_what_is_transparent_is_paper(ink: int) -> None:
    pixels = np.full((21, 21, 4), ink, np.uint8)
    pixels[:, :, 3] = INK_SS * 255
    np.testing.assert_array_equal(read_one(encoded(pillow.fromarray(pixels))), INK_SS * 255)
    pixels[:, :, 3] = 0
    with pytest.raises(ValueError, match=r"a/b\.png: all of it is transparent"):
        read_one(encoded(pillow.fromarray(pixels)))


def test_grey_ink_on_grey_paper_is_stretched() -> None:
    light_SS = np.where(INK_SS, 90, 200).astype(np.uint8)
    light_SS[0, 0] = 213  # lighter than the paper is none, too
    np.testing.assert_array_equal(read_one(encoded(pillow.fromarray(light_SS))), INK_SS * 255)


@settings(max_examples=30)
@given(st.integers(3, 30), st.integers(3, 30), st.integers(0, 2**32 - 1), st.booleans())
def test_what_is_not_square_is_padded_with_paper(height: int, width: int, seed: int, light_ink: bool) -> None:
    ink_HW = np.zeros((height, width), bool)
    inner = ink_HW[1:-1, 1:-1]
    inner[...] = np.random.default_rng(seed).random(inner.shape) < 0.3
    inner[0, 0] = True
    found = read_one(png(ink_HW, light_ink=light_ink), max(height, width))
    side = max(height, width)
    wanted = np.zeros((side, side), bool)
    for row in range(height):
        for column in range(width):
            wanted[row + (side - height) // 2, column + (side - width) // 2] = ink_HW[row, column]
    np.testing.assert_array_equal(found, wanted * 255)


def test_the_working_resolution_is_that_of_the_area() -> None:
    np.testing.assert_array_equal(read_one(png(INK_SS), 8), resized(INK_SS[None] * np.uint8(255), 8)[0])


def frame(side: int = 21) -> np.ndarray:
    """A drawing that covers all of the border."""
    ink_SS = np.zeros((side, side), bool)
    ink_SS[[0, 1, 2, -3, -2, -1]] = True
    ink_SS[:, [0, 1, 2, -3, -2, -1]] = True
    return ink_SS


@pytest.mark.parametrize("light_ink", [False, True])
def test_a_picture_that_does_not_show_its_polarity_goes_by_its_class(light_ink: bool) -> None:
    unclear = read_picture("frame", png(frame(), light_ink=light_ink), 21)
    assert abs(unclear.evidence) < CLEAR
    clear = [read_picture("a", png(drawing(seed), light_ink=light_ink), 21) for seed in range(3)]
    other = [read_picture("b", png(drawing(seed), light_ink=not light_ink), 21) for seed in range(3, 8)]
    assert all(abs(one.evidence) > CLEAR for one in clear + other)
    found = settled([[unclear, *clear], other])
    wanted = [frame(), *map(drawing, range(8))]
    np.testing.assert_array_equal(found, np.stack(wanted) * 255)
    # A class of nothing but such pictures goes by all classes.
    np.testing.assert_array_equal(settled([[unclear], clear])[0], frame() * 255)


def test_evidence_counts_border_and_area() -> None:
    light = np.full((4, 5), 200, np.uint8)
    light[0, :3] = 50  # of 14 pixels of the border, and of 20
    assert light_paper(light) == pytest.approx(11 / 14 + 17 / 20 - 1)
    assert light_paper(255 - light) == pytest.approx(1 - 11 / 14 - 17 / 20)


def refused(data: bytes) -> str:
    with pytest.raises(ValueError) as caught:
        read_picture("some/name.png", data, 21)
    assert str(caught.value).startswith("some/name.png: ")
    return str(caught.value)


def read_or_refused(data: bytes) -> np.ndarray | None:
    """The ink of a file, or nothing where it is refused by name."""
    message = ""
    try:
        return read_one(data)
    except ValueError as error:
        message = str(error)
    assert message.startswith("a/b.png: ")
    return None


def test_files_that_are_no_pictures_are_refused_by_name() -> None:
    assert "an empty file" in refused(b"")
    assert "cannot be read as a picture" in refused(b"hello")
    assert "cannot be read as a picture" in refused(encoded(pillow.fromarray(INK_SS), "TIFF"))
    assert "no ink" in refused(png(np.zeros((9, 9), bool)))
    assert "no ink" in refused(encoded(pillow.fromarray(np.where(INK_SS, 100, 110).astype(np.uint8))))
    assert "no ink" in refused(png(np.ones((1, 1), bool)))
    values = np.where(INK_SS, 0, 70_000).astype(np.int32)
    assert "cannot be read" in refused(encoded(pillow.fromarray(values), "TIFF"))


def test_files_that_are_cut_off_are_refused_or_whole() -> None:
    for kind in ("PNG", "GIF", "BMP", "JPEG"):
        whole = png(INK_SS, kind=kind)
        pixels = read_one(whole)
        for cut in range(0, len(whole), max(1, len(whole) // 23)):
            found = read_or_refused(whole[:cut])
            assert found is None or (found == pixels).all()
            assert cut > len(whole) // 2 or found is None


@settings(max_examples=60)
@given(st.sampled_from(["PNG", "GIF", "BMP", "JPEG"]), st.integers(0, 2**16), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_by_name(kind: str, place: int, value: int) -> None:
    data = bytearray(png(INK_SS, kind=kind))
    data[place % len(data)] = value
    found = read_or_refused(bytes(data))
    assert found is None or found.shape == (21, 21)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_picture_of_a_huge_size_is_refused_before_it_is_unpacked() -> None:
    for width, height in ((8_000, 3_000), (60_000, 60_000)):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        rows = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        message = refused(b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b""))
        assert "16,777,216 are allowed" in message or "DecompressionBomb" in message


def test_animations_are_refused() -> None:
    frames = [pillow.fromarray(np.where(drawing(seed), 0, 255).astype(np.uint8)) for seed in (1, 2)]
    assert "2 frames; expected a picture of one" in refused(
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    )


def test_without_pillow_the_extra_is_named(monkeypatch) -> None:
    data = png(INK_SS)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ValueError, match=r"need Pillow, which is not installed: pip install 'npi-engine\[pictures\]'"):
        read_picture("a.png", data, 21)


def test_a_photograph_is_turned_as_its_camera_says() -> None:
    exif = pillow.Exif()
    exif[0x0112] = 6  # turned by a quarter to the right when shown
    light_SS = np.where(np.kron(INK_SS, np.ones((8, 8), bool)), 0, 255).astype(np.uint8)
    found = read_one(encoded(pillow.fromarray(light_SS), "JPEG", exif=exif))
    assert abs(found.astype(int) - np.rot90(INK_SS, -1) * 255).max() <= 20
