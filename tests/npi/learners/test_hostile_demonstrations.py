"""Files of demonstrations that anybody may have made: bombs, pickles, links, arrays that lie elsewhere."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.control.reaching import Reaching
from npi.learners.demonstration_files import MAX_LINES, read_demonstrations

WORLD = Reaching("plane", {"landmarks": 3, "fewest": 3, "steps": 5})


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    found = {"body": np.zeros((6, 4)), "objects": np.zeros((3, 5)), "actions": np.zeros((5, 2))} | changed
    return {name: np.asarray(array) for name, array in found.items()}


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        read_demonstrations(path, WORLD.spec, WORLD.longest)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"body": np.array([{}] * 6, object)}, "cannot be read as a NumPy archive of plain arrays"),
        ({"body": 3.0}, "'body' must be an array of finite numbers"),
        ({"body": np.full((6, 4), 1e30)}, "'body' must be an array of finite numbers, up to 1,000,000"),
        ({"body": np.zeros((6, 4), "M8[s]")}, "its type is datetime64"),
        ({"objects": np.zeros((0, 5))}, "'objects' has 0 lines; world plane shows 1 to 3"),
        ({"objects": np.zeros((4, 5))}, "'objects' has 4 lines; world plane shows 1 to 3"),
        ({"objects": np.zeros((0, 3, 5))}, "'objects' has lines of the shape"),
        ({"body": np.zeros((MAX_LINES + 1, 4))}, "channels have [10001] lines"),
    ],
)
def test_arrays_that_no_world_shows_are_refused(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays(**changed))  # type: ignore[arg-type]
    assert told in refused(tmp_path / "a.npz")


def test_what_unpacks_to_far_more_than_it_is_takes_no_memory(tmp_path: Path) -> None:
    """Red where an archive is unpacked before its size is looked at: told sizes, a told size that is too small, and a
    packing that unpacks at once."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (70 << 20,)})
    bomb = head.getvalue() + bytes(70 << 20)
    for method, told in ((zipfile.ZIP_DEFLATED, "are allowed"), (zipfile.ZIP_BZIP2, "packed by the method 12")):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as file:
            file.writestr("body.npy", bomb if method == zipfile.ZIP_DEFLATED else bomb[:1000])
        assert told in refused(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("body.npy", bomb)
    small = (tmp_path / "b.npz").read_bytes().replace(len(bomb).to_bytes(4, "little"), (200).to_bytes(4, "little"))
    (tmp_path / "b.npz").write_bytes(small)
    refused(tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as file:
        for name in ("body", "body.npy"):
            file.writestr(name, b"")
    assert "two arrays have one name" in refused(tmp_path / "c.npz")


def huge(h5py: Any, seen: Any) -> None:
    seen.create_dataset("body", shape=(10**9, 4), dtype="f8", chunks=(1000, 4))


def elsewhere(h5py: Any, seen: Any) -> None:
    seen.create_dataset("body", shape=(6, 4), dtype="f4", external=[("/etc/hostname", 0, 96)])


def made_of_others(h5py: Any, seen: Any) -> None:
    layout = h5py.VirtualLayout((6, 4), "f4")
    layout[:] = h5py.VirtualSource("other.hdf5", "body", (6, 4))
    seen.create_virtual_dataset("body", layout)


def linked(h5py: Any, seen: Any) -> None:
    seen["body"] = h5py.ExternalLink("/etc/hostname", "/body")


def itself(h5py: Any, seen: Any) -> None:
    seen["body"] = h5py.SoftLink(f"{seen.name}/body")


def a_group(h5py: Any, seen: Any) -> None:
    seen.create_group("body")


def texts(h5py: Any, seen: Any) -> None:
    seen.create_dataset("body", data=["a"] * 6, dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        (huge, "its arrays have more than"), (elsewhere, "lies in another file"), (made_of_others, "in another file"),
        (linked, "body is a link"), (itself, "body is a link"), (a_group, "no array of numbers"),
        (texts, "no array of numbers"), (lambda h5py, seen: None, "has no 'body', which the world observes"),
    ],
)  # fmt: skip
def test_an_hdf5_file_leads_nowhere(tmp_path: Path, fill: Callable[[Any, Any], None], told: str) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        seen = file.create_group("episode_0").create_group("observations")
        seen["objects"] = np.zeros((3, 5))
        fill(h5py, seen)
    assert told in refused(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["episode_0"] = np.zeros(3)
        file.create_group("episode_²")
        file.create_group("episode_" + "9" * 5000)
    assert "no group with a group of observations" in refused(tmp_path / "b.hdf5")


@pytest.mark.parametrize("name", ["a.npz", "a.hdf5"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "a pipe; give a regular file" in refused(tmp_path / name)
    (tmp_path / name).unlink()
    for content in (b"", b"\0" * 4096, b"[" * 100_000):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
