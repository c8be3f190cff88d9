"""Demonstrations go to files and come back; what is no such file is refused with a reason."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from envs.control.demonstrations import of_episodes, sizes_of
from envs.control.reaching import Reaching
from envs.stepper import Action
from envs.world import Episodes
from npi.learners.demonstration_files import read_demonstrations, write_demonstrations

WORLD = Reaching("plane", {"landmarks": 3, "fewest": 3, "steps": 5})


def shown(count: int) -> Episodes:
    layouts = [{"EPISODE": [number]} for number in range(count)]
    return WORLD.demonstrate(layouts, generator=torch.Generator().manual_seed(0))


def arrays() -> dict[str, np.ndarray]:
    return {
        "body": np.zeros((6, 4), np.float32), "objects": np.zeros((3, 5), np.float32), "actions": np.zeros((5, 2)),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "count"), [("one.npz", 1), ("two.hdf5", 2)])
def test_a_file_holds_what_was_written(tmp_path: Path, name: str, count: int) -> None:
    episodes = shown(count)
    write_demonstrations(tmp_path / name, episodes, WORLD.spec)
    again = read_demonstrations(tmp_path / name, WORLD.spec)
    sizes = sizes_of(WORLD.spec)
    for one, other in zip(of_episodes(episodes, sizes), of_episodes(again, sizes), strict=True):
        assert torch.equal(one, other)


def test_demonstrations_of_several_lengths_are_live_to_their_ends(tmp_path: Path) -> None:
    episodes = shown(2)
    live_TB = episodes.live_TB.clone()
    live_TB[3:, 1] = False
    cut = Episodes(episodes.seen, episodes.actions, {}, live_TB, torch.zeros_like(live_TB))
    write_demonstrations(tmp_path / "two.h5", cut, WORLD.spec)
    again = read_demonstrations(tmp_path / "two.h5", WORLD.spec)
    assert torch.equal(again.live_TB, live_TB)


def test_minaris_layout(tmp_path: Path) -> None:
    """Read by h5py alone, as Minari's documents state it."""
    import h5py

    write_demonstrations(tmp_path / "two.hdf5", shown(2), WORLD.spec)
    with h5py.File(io.BytesIO((tmp_path / "two.hdf5").read_bytes())) as held:
        assert dict(held.attrs) == {"total_episodes": 2, "total_steps": 10}
        episode = held["episode_1"]
        assert episode["observations"]["body"].shape == (6, 4)
        assert episode["observations"]["objects"].shape == (6, 3, 5)
        assert episode["actions"].shape == (5, 2)
        assert episode["truncations"][()].tolist() == [False] * 4 + [True]


def test_states_alone_are_a_demonstration(tmp_path: Path) -> None:
    held = arrays()
    del held["actions"]
    np.savez(tmp_path / "quiet.npz", **held)
    assert read_demonstrations(tmp_path / "quiet.npz", WORLD.spec).actions is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"body": None}, r"has no 'body', which world plane observes; it has actions, objects"),
        ({"body": np.zeros((6, 3))}, r"'body' has lines of the shape \(3,\), and the world's have \(4,\)"),
        ({"body": np.zeros((1, 4))}, r"channels have \[1\] lines; give one and the same number, 2 at least"),
        ({"actions": np.zeros((6, 2))}, r"actions have the shape \(6, 2\).*must be \(5, 2\)"),
        ({"body": np.full((6, 4), np.nan)}, r"'body' must be an array of finite numbers"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, changed: dict[str, np.ndarray | None], message: str) -> None:
    held = {name: array for name, array in {**arrays(), **changed}.items() if array is not None}
    np.savez(tmp_path / "one.npz", **held)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        read_demonstrations(tmp_path / "one.npz", WORLD.spec)


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"cannot be read as a NumPy archive of plain arrays"):
        read_demonstrations(tmp_path / "text.npz", WORLD.spec)
    with pytest.raises(ValueError, match="is no HDF5 file of episodes"):
        read_demonstrations(tmp_path / "text.hdf5", WORLD.spec)
    with pytest.raises(ValueError, match=r"can hold one demonstration and not 2; name a file \.hdf5"):
        write_demonstrations(tmp_path / "two.npz", shown(2), WORLD.spec)
    with pytest.raises(ValueError, match=r"choose one of these endings"):
        write_demonstrations(tmp_path / "two.csv", shown(2), WORLD.spec)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ValueError, match=r"pip install 'npi-engine\[demonstrations\]'"):
        read_demonstrations(tmp_path / "text.hdf5", WORLD.spec)


def test_actions_without_payloads_are_zeros(tmp_path: Path) -> None:
    episodes = shown(1)
    calls = [Action(action.call_B4) for action in episodes.actions or ()]
    quiet = Episodes(episodes.seen, calls, {}, episodes.live_TB, episodes.ended_TB)
    write_demonstrations(tmp_path / "one.npz", quiet, WORLD.spec)
    read = read_demonstrations(tmp_path / "one.npz", WORLD.spec)
    assert all(not action.payload_BX.any() for action in read.actions or () if action.payload_BX is not None)
