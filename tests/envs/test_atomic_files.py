"""Files that are there whole or not at all, folders that one process at a time writes to, and what kills leave."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from envs.support import atomic_files as module
from envs.support.atomic_files import (
    LOCK,
    FolderInUseError,
    claimed,
    remove_whole,
    unfinished,
    whole_folder,
    write_whole,
)
from tests.support.forks import forked, killed


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_kill_leaves_the_old_file_or_the_new_one_and_the_next_write_clears(tmp_path: Path) -> None:
    """Red where the file is written in place, or where what is left over is not cleared."""
    file, kills = tmp_path / "page.html", 0
    write_whole(file, b"old")
    for _ in killed(lambda: write_whole(file, b"new" * 1000)):
        kills += 1
        assert file.read_bytes() in (b"old", b"new" * 1000)
        assert all(unfinished(path) for path in tmp_path.iterdir() if path != file)
        write_whole(file, b"old")
        assert names(tmp_path) == ["page.html"]
    assert kills >= 2


def test_a_kill_leaves_a_folder_whole_or_not_at_all(tmp_path: Path) -> None:
    def make(text: str) -> None:
        with whole_folder(tmp_path / "made") as folder:
            for number in range(3):
                (folder / str(number)).write_text(text)

    for _ in killed(lambda: make("new")):
        assert not (tmp_path / "made").exists() or names(tmp_path / "made") == ["0", "1", "2"]
        remove_whole(tmp_path / "made")
        make("next")
        assert names(tmp_path) == ["made"]
        for _ in killed(lambda: remove_whole(tmp_path / "made")):
            assert not (tmp_path / "made").exists() or names(tmp_path / "made") == ["0", "1", "2"]
        remove_whole(tmp_path / "made")
        assert names(tmp_path) == []


def test_a_folder_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "made") as folder:
            (folder / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


def test_what_a_living_process_writes_is_not_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two write one file at once: neither takes the other's temporary file away; the last one's content stays."""
    real, both = os.fsync, threading.Barrier(2, timeout=10)

    def slow(descriptor: int) -> None:
        real(descriptor)
        if threading.current_thread() is not threading.main_thread() and not done.is_set():
            both.wait()  # the temporary file is there, and complete
            done.wait(10)

    done = threading.Event()
    monkeypatch.setattr(module.os, "fsync", slow)
    other = threading.Thread(target=write_whole, args=(tmp_path / "it", b"other"))
    other.start()
    both.wait()
    write_whole(tmp_path / "it", b"mine")
    assert len(names(tmp_path)) == 2
    done.set()
    other.join()
    assert names(tmp_path) == ["it"]
    assert (tmp_path / "it").read_bytes() == b"other"


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"No such device or address.*pipe"):
        write_whole(tmp_path / "pipe", b"for nobody")


def test_a_folder_that_is_none_is_told_by_its_name(tmp_path: Path) -> None:
    """A device, a file and a link that leads back to itself, in place of a folder to write into."""
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("device", "file", "loop"):
        with pytest.raises(NotADirectoryError, match=name), claimed(tmp_path / name):
            pass
    with pytest.raises(OSError, match="loop"):
        write_whole(tmp_path / "loop", b"")


def test_links_devices_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: seen.append((tmp_path / "pipe").read_bytes()))
    seen: list[bytes] = []
    reader.start()
    write_whole(tmp_path / "pipe", b"through")
    reader.join()
    assert seen == [b"through"]
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(OSError, match=r"No space left on device.*'/dev/full'"):
        write_whole(Path("/dev/full"), b"x")


def test_one_process_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "new"
    with claimed(place):
        with claimed(place):  # the same thread has it already
            assert names(place) == [LOCK]

        def other() -> None:
            with pytest.raises(FolderInUseError, match=f"another process is writing to {place}: wait"), claimed(place):
                pass

        assert forked(other) == 0
        (place / "file").touch()
    assert names(place) == ["file"]
    assert forked(lambda: claimed(place).__enter__()) == 0
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "empty"):
        raise ZeroDivisionError
    assert names(tmp_path) == ["new"]


def test_many_processes_take_turns(tmp_path: Path) -> None:
    """Each reads a number, waits, and writes the next one; the folder goes and comes. Red without the lock."""
    folder, counter = tmp_path / "folder", tmp_path / "counter"
    counter.write_text("0")
    started = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            for _ in range(5):
                with claimed(folder, wait=20):
                    number = int(counter.read_text())
                    time.sleep(0.002)
                    counter.write_text(str(number + 1))
            os._exit(0)
        started.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in started] == [0] * 4
    assert counter.read_text() == "20"
    assert names(tmp_path) == ["counter"]


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    def die() -> None:
        with claimed(tmp_path):
            (tmp_path / f".x.{7:016x}.part").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(die) == -signal.SIGKILL
    assert all(map(unfinished, tmp_path.iterdir()))
    assert len(names(tmp_path)) == 2
    (tmp_path / "mine.part").touch()
    (tmp_path / ".hidden").touch()
    with claimed(tmp_path):
        pass
    assert names(tmp_path) == [".hidden", "mine.part"]
