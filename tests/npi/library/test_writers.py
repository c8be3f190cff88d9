"""Libraries that several processes write, that are read meanwhile, damaged, or written by a process that is killed."""

import contextlib
import copy
import io
import random
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from envs.support.atomic_files import claimed
from npi.cli.console import check_folder
from npi.cli.main import main
from npi.jobs import train as jobs
from npi.jobs.run import checkpoint_path
from npi.jobs.train import learn_into, train_library
from npi.library import members, operations
from npi.library.index import listing
from npi.library.library import Library, LibraryError
from npi.library.manifest import vacant
from npi.training.checkpoint import CheckpointError
from npi.training.loop import Progress, Schedule
from npi.training.scalar_log import scalar_log
from tests.support.forks import forked, killed
from tests.support.operation_helpers import file_of, grown, hasty, versions_of
from tests.support.tape_programs import contents
from tests.support.tiny import SMALL, STRIP, forcing, strip


def files(folder: Path) -> set[str]:
    """The files that a library's rows are named after."""
    return {card.name.partition(".")[0] for card in listing(folder).programs}


def hurried(folder: Path, name: str, seed: int = 0) -> None:
    """Learn a file's rows, right or not."""
    learn_into(folder, [file_of(name)], config=hasty(seed), traces=1, keep_unsolved=True)


def packed(folder: Path, name: str) -> str:
    path = folder / f"{name}.npirow"
    operations.pack(grown(name), [name.upper()]).save(path)
    return str(path)


def while_learning(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Another process does this work between the opening of the library that is learned into and its writing."""
    real = jobs.gather

    def gather(*args: object, **settings: object) -> object:
        monkeypatch.undo()
        assert forked(work) == 0
        return real(*args, **settings)

    monkeypatch.setattr(jobs, "gather", gather)


def test_what_another_process_adds_or_removes_while_rows_are_learned_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where the library is written as it was read; the rows have the numbers that they have without the other."""
    added, removed, alone = (tmp_path / name for name in ("added", "removed", "alone"))
    grown().save(added)
    grown("turn").save(removed)
    grown().save(alone)
    hurried(alone, "twist")
    words = ["library", "add", str(added), packed(tmp_path, "turn")]
    while_learning(monkeypatch, lambda: main(words))
    hurried(added, "twist")
    while_learning(monkeypatch, lambda: main(["library", "remove", str(removed), "TURN"]))
    hurried(removed, "twist")
    assert (files(added), files(removed)) == ({"strip", "turn", "twist"}, {"strip", "twist"})
    meant = versions_of(Library.open(alone))
    for folder in (added, removed):
        found = versions_of(Library.open(folder))
        assert {name: found[name] for name in meant} == meant


@pytest.mark.parametrize(
    ("before", "learned", "beside"),
    [
        (("turn",), "again", lambda folder: main(["library", "remove", str(folder), "TURN"])),
        ((), "turn", lambda folder: hurried(folder, "turn", seed=9)),
    ],
    ids=["what it calls is gone", "its name is taken"],
)
def test_rows_that_no_longer_fit_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...], learned: str, beside: Callable
) -> None:
    folder = tmp_path / "library"
    grown(*before).save(folder)
    while_learning(monkeypatch, lambda: beside(folder))
    with pytest.raises(LibraryError, match=r"another process has changed .* were learned, and they do not fit"):
        hurried(folder, learned)
    assert files(folder) == ({"strip"} if before else {"strip", "turn"})


def test_a_library_that_another_process_changed_is_not_written_over(tmp_path: Path) -> None:
    """Two read it, and both change what they read: the second is told, and repeats."""
    folder = tmp_path / "library"
    grown("twist").save(folder)
    file = operations.RowFile.open(packed(tmp_path, "turn"))
    one, two = Library.open(folder), Library.open(folder)
    operations.add(one, [file]).library.save(folder)
    change = operations.remove(two, ["TWIST"]).library
    with pytest.raises(LibraryError, match=f"another process has changed {folder} since this library was read from it"):
        change.save(folder)
    assert files(folder) == {"strip", "turn", "twist"}
    change.save(tmp_path / "other")
    assert files(tmp_path / "other") == {"strip"}
    again = operations.remove(Library.open(folder), ["TWIST"]).library
    again.save(folder)
    again.save(folder)  # and it may save more than once
    assert files(folder) == {"strip", "turn"}


def test_rows_of_processes_side_by_side_are_all_there(tmp_path: Path) -> None:
    """Red without the lock, in most runs."""
    folder, names = tmp_path / "library", ("turn", "twist")
    grown().save(folder)
    words = [["library", "add", str(folder), packed(tmp_path, name)] for name in names]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda one: forked(lambda: ended(one)), words)) == [0, 0]
    assert files(folder) == {"strip", *names}


def ended(words: list[str], status: int = 0) -> None:
    assert main(words) == status


@pytest.mark.parametrize("read", [Library.open, listing])
def test_a_reader_sees_one_state_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable) -> None:
    """The library is written anew, back and forth, whenever its manifest has been read; red without a second look."""
    folder, left = tmp_path / "library", [3]
    grown("turn").save(folder)
    real = members.read_manifest

    def replaced(place: Path) -> dict:
        found = real(place)
        if left[0]:
            left[0] -= 1
            names = ("turn",) if left[0] % 2 else ("twist",)
            with monkeypatch.context() as undone:
                undone.setattr(members, "read_manifest", real)
                grown(*names).save(folder)
        return found

    monkeypatch.setattr(members, "read_manifest", replaced)
    read(folder)
    assert left == [0]
    assert files(folder) == {"strip", "twist"}


def test_a_kill_at_any_file_operation_of_a_save(tmp_path: Path) -> None:
    """The old library or the new one; in a new folder nothing that is in the way. Red where the lock is."""
    new = grown("turn")
    copy.deepcopy(new).save(tmp_path / "meant")
    meant, kills = contents(tmp_path / "meant"), 0
    place, fresh = tmp_path / "library", tmp_path / "fresh"
    grown("twist").save(place)
    for _ in killed(lambda: new.save(place), step=2):
        kills += 1
        assert files(place) in ({"strip", "turn"}, {"strip", "twist"})
        copy.deepcopy(new).save(place)
        assert contents(place) == meant
        grown("twist").save(place)
    for _ in killed(lambda: new.save(fresh), step=2):
        kills += 1
        check_folder(fresh)
        assert vacant(fresh) or files(fresh) == {"strip", "turn"}
        copy.deepcopy(new).save(fresh)
        assert contents(fresh) == meant
        for path in [*fresh.iterdir()]:
            path.unlink()
    assert kills > 12


def test_every_changed_byte_is_told(tmp_path: Path) -> None:
    rng, folder, count = random.Random(0), tmp_path / "library", 0
    grown("turn").save(folder)
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for place in range(rng.randrange(29), len(data), 1 + len(data) // 29):
            changed = bytearray(data)
            changed[place] ^= rng.randrange(1, 256)
            path.write_bytes(changed)
            for read in (Library.open, listing):
                with pytest.raises(LibraryError, match=str(folder)):
                    read(folder)
            count += 1
        path.write_bytes(data)
    assert count > 80
    assert files(folder) == {"strip", "turn"}


def test_of_two_that_train_one_core_the_second_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strip.npi").write_text(STRIP)
    with claimed("library"):
        for words in (["train", "strip.npi", "--out", "library"], ["train", "--universal", "--out", "library"]):
            assert forked(lambda words=words: told(words, "another process is writing to library")) == 0
    assert not Path("library").exists()


def told(words: list[str], message: str) -> None:
    """A command that ends with exit status 2 and this message on stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        assert main(words) == 2
    assert message in errors.getvalue()


def test_a_run_that_was_killed_before_its_library_was_written_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state says that it has ended; a run of other settings may begin only where the library is there."""
    out = tmp_path / "library"
    real = Library.save

    def save(library: Library, folder: Path) -> None:
        if folder == out:
            raise KeyboardInterrupt
        real(library, folder)

    monkeypatch.setattr(Library, "save", save)
    with pytest.raises(KeyboardInterrupt):
        train_library([strip()], out=out, core=SMALL, training=forcing(updates=2), traces=2)
    monkeypatch.undo()
    assert checkpoint_path(out).exists()
    with pytest.raises(CheckpointError, match="of a run with other settings"):
        train_library([strip()], out=out, core=SMALL, training=forcing(updates=2, seed=1), traces=2)
    train_library([strip()], out=out, core=SMALL, training=forcing(updates=2), traces=2)
    train_library([strip()], out=out, core=SMALL, training=forcing(updates=2, seed=1), traces=2)


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("show strip.npi 1,0 --html page.html", "page.html"),
        ("graph strip.npi --out strip.svg", "strip.svg"),
        ("trace strip.npi --traces 50 --out set", "plan.json"),
        ("library pack library TURN --out turn.npirow", "turn.npirow"),
        ("library remove library TURN --out other", "core-"),
        ("run both 1,0 --library library --html page.html", "page.html"),
    ],
)
def test_a_full_disk_leaves_no_half_file_and_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, file: str
) -> None:
    """The largest file that may be written has 1,000 bytes: the system refuses the rest, as that of a full disk."""
    monkeypatch.chdir(tmp_path)
    Path("strip.npi").write_text(STRIP)
    grown("turn").save("library")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}

    def tight() -> None:
        sys.dont_write_bytecode = True  # a module that is imported here first would be cached half
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        told(words.split(), "File too large")
        told(words.split(), file)

    assert forked(tight) == 0
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert files(tmp_path / "library") == {"strip", "turn"}


def test_a_full_disk_under_a_log_is_told_with_its_folder(tmp_path: Path) -> None:
    """Red where the error of TensorBoard's thread comes as a traceback, or without a name."""

    place = tmp_path / "log"
    objective, schedule = SimpleNamespace(scalars=lambda progress: {}), Schedule(updates=100, check_every=1)

    def logged() -> None:
        with scalar_log(place, objective, schedule, {}) as log:
            for update in range(100):
                log(Progress(update=update, loss=0.5))

    def tight() -> None:
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), pytest.raises(OSError, match=rf"File too large.*{place}"):
            logged()
        assert errors.getvalue() == ""

    assert forked(tight) == 0
