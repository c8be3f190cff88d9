"""The packed file of Omniglot's background set: read as published, and refused where it is not of that form."""

import io
import zipfile

import numpy as np
import pytest

from envs.images.packed import ALPHABETS, BYTES, CHARACTERS, SIDE, packed


def packed_file(path, ids: list[int], **more: np.ndarray) -> np.ndarray:
    """A packed file of random drawings with these numbers; returns them, 1 = ink."""
    ink_NMM = np.random.default_rng(3).random((len(ids), SIDE, SIDE)) < 0.1
    bits = np.packbits(ink_NMM.reshape(len(ids), SIDE**2), axis=1)
    np.savez_compressed(path, **{"image_id": np.array(ids, np.uint16), "bits": bits} | more)
    return ink_NMM


def test_the_table_of_alphabets_is_the_published_one() -> None:
    assert CHARACTERS == 964
    assert len(ALPHABETS) == 30
    first = dict(zip((name for name, _ in ALPHABETS), np.cumsum([1] + [count for _, count in ALPHABETS]), strict=False))
    published = {"Balinese": 108, "Early_Aramaic": 251, "Greek": 394, "Korean": 643, "Latin": 683, "Tifinagh": 910}
    assert published.items() <= first.items()


def test_numbers_become_alphabets_characters_and_drawers(tmp_path) -> None:
    # Arcadian 1, drawer 3 · Arcadian 26, drawer 20 · Armenian 1, drawer 1 · Greek 2, drawers 7 and 8
    ids = [3, 520, 521, 394 * 20 + 8, 394 * 20 + 7]
    ink_NMM = packed_file(tmp_path / "a.npz", ids)
    drawings = packed(tmp_path / "a.npz", SIDE)
    assert drawings.group_names == ("Arcadian", "Armenian", "Greek")
    names = [drawings.full_name(number) for number in range(drawings.classes)]
    assert names == ["Arcadian/character01", "Arcadian/character26", "Armenian/character01", "Greek/character02"]
    assert drawings.class_N.tolist() == [0, 1, 2, 3, 3]
    assert drawings.drawer_N.tolist() == [2, 19, 0, 7, 6]
    np.testing.assert_array_equal(drawings.picture_NSS, ink_NMM * 255)
    (mean,) = packed(tmp_path / "a.npz", 1).picture_NSS[0, 0]
    assert abs(mean - 255 * ink_NMM[0].mean()) < 0.51


def refused(path) -> str:
    with pytest.raises(ValueError) as caught:
        packed(path)
    message = str(caught.value)
    assert str(path) in message
    return message


def test_other_arrays_are_refused(tmp_path) -> None:
    path = tmp_path / "a.npz"
    for ids, more, message in (
        ([1, 2], {"more": np.zeros(3)}, "arrays bits, image_id, more; expected image_id and bits"),
        ([1, 2], {"bits": np.zeros((2, BYTES - 1), np.uint8)}, "expected uint8 (2, 1379)"),
        ([1, 2], {"bits": np.zeros((2, BYTES))}, "bits is float64"),
        ([1, 2], {"image_id": np.zeros((2, 1), int)}, "expected integers, one a drawing"),
        ([1, 2], {"image_id": np.array([1.0, 2.0])}, "image_id is float64"),
        ([0, 2], {}, "image_id is 0 to 2; expected 1 to 19,280"),
        ([1, 19281], {}, "image_id is 1 to 19281"),
        ([2, 1, 2], {}, "twice"),
        ([], {}, "one a drawing"),
    ):
        packed_file(path, ids, **more)
        assert message in refused(path)


def test_objects_are_not_unpickled(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.savez(tmp_path / "a.npz", image_id=np.array([Trap()], object), bits=np.zeros((1, BYTES), np.uint8))
    assert "cannot be read" in refused(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


def archive(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_a_shape_beyond_the_bytes_that_are_there_takes_no_memory(tmp_path) -> None:
    head = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (2**40, BYTES)}
    np.lib.format.write_array_header_1_0(head, shape)
    path = archive(tmp_path / "a.npz", {"bits.npy": head.getvalue() + b"\0" * 100})
    assert "has 100 bytes; its shape (1099511627776, 1379) says" in refused(path)


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("envs.images.packed.PACKED_BYTES", 10_000)
    path = archive(tmp_path / "a.npz", {"bits.npy": b"\0" * 10_001})
    assert path.stat().st_size < 1_000
    assert "unpacks to 10,001 bytes; 10,000 are allowed" in refused(path)


@pytest.mark.parametrize("members", [{}, {"bits.npy": b""}, {"bits.npy": b"no array at all"}, {"readme": b"hello"}])
def test_archives_of_something_else_are_refused(tmp_path, members) -> None:
    refused(archive(tmp_path / "a.npz", members))


def test_broken_files_are_refused_at_every_place(tmp_path) -> None:
    packed_file(tmp_path / "whole.npz", [1, 2])
    whole = (tmp_path / "whole.npz").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "cut.npz").write_bytes(whole[:cut])
        refused(tmp_path / "cut.npz")
