"""A library on disk: what was written comes back, damage is found, and a crash leaves the old one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import loads
from envs.stepper import Observation
from npi.cli.console import check_folder
from npi.jobs.train import new_library
from npi.library import contents as written
from npi.library import library as module
from npi.library import members
from npi.library.library import Library, LibraryError, missing_rows, sealed
from npi.library.manifest import checked
from npi.library.tensor_files import sha256
from tests.support.tape_programs import contents
from tests.support.tiny import (
    CORE,
    LSTM,
    SMALL,
    STRIP,
    TAPE,
    TURN,
    configurations,
    dataset,
    strip,
    tape,
    turn,
    untrained,
)

WORDS = {"strip", "turn", "tape"}


def same(one: Library, two: Library) -> bool:
    return (
        one.core.digest() == two.core.digest()
        and one.rows_digest() == two.rows_digest()
        and one.memory.infos == two.memory.infos
        and one.core.config == two.core.config
        and [w.digest for w in one.core.worlds] == [w.digest for w in two.core.worlds]
        and [s.sources for s in one.sets] == [s.sources for s in two.sets]
        and one.history == two.history
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    library = untrained(SMALL, turn(), tape())
    library.history.append({"trained": ["turn.npi"], "rate": 1e-05, "name": "é"})
    library.save(tmp_path / "library")
    return tmp_path / "library"


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and seal it again, as somebody who means harm would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    change(manifest)
    (folder / "manifest.json").write_bytes(sealed(manifest))


@pytest.mark.parametrize("config", [SMALL, LSTM], ids=["discrete", "lstm"])
def test_what_was_written_comes_back(config, tmp_path: Path) -> None:
    library = untrained(config, turn(), tape(), seed=3)
    library.history.append({"trained": ["strip.npi"], "wrong": {"a": 1}})
    library.save(tmp_path / "new" / "library")
    found = Library.open(tmp_path / "new" / "library")
    assert same(found, library)
    assert found.sets[0].digest == turn().digest
    assert found.sets[0].path.endswith("turn.npi")
    for programs in (turn(), tape()):
        one, two = library.stepper(programs.table, memo=False), found.stepper(programs.table, memo=False)
        obs, program, arguments = configurations(programs.table, 50, generator=torch.Generator().manual_seed(0))
        hidden = torch.zeros(50, one.width, dtype=one.dtype)
        a, b = (
            one.step(Observation(obs), program, arguments, hidden),
            two.step(Observation(obs), program, arguments, hidden),
        )
        assert torch.equal(a.call_B4, b.call_B4)
        assert torch.equal(a.hidden_BH, b.hidden_BH)


def test_a_library_written_twice_is_the_same_bytes(tmp_path: Path) -> None:
    library = untrained(SMALL, turn())
    library.save(tmp_path / "one")
    Library.open(tmp_path / "one").save(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_opening_touches_neither_the_folder_nor_the_global_generator(saved: Path) -> None:
    before, state = contents(saved), torch.random.get_rng_state()
    library = Library.open(saved)
    library.save(saved.parent / "copy")
    assert contents(saved) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_manifest_names_every_file_with_its_hash(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    found = {name: sha256(data) for name, data in contents(saved).items() if name != "manifest.json"}
    assert manifest["files"] == found
    assert sorted(name.partition("-")[0] for name in found) == ["core", "rows", "texts"]


def test_a_text_that_several_files_use_is_kept_once(tmp_path: Path) -> None:
    untrained(SMALL, strip(), turn()).save(tmp_path)
    (texts,) = tmp_path.glob("texts-*.json")
    assert sorted(json.loads(texts.read_text()).values()) == sorted([STRIP, TURN])


# --- damage ---------------------------------------------------------------------------------------------------------


def test_every_changed_byte_is_found(saved: Path) -> None:
    """Every 17th byte of every file, another bit each time; the manifest's bytes too."""
    tried = 0
    for name, data in contents(saved).items():
        for place in range(0, len(data), 17):
            changed = bytearray(data)
            changed[place] ^= 1 << (place // 17 % 8)
            (saved / name).write_bytes(changed)
            with pytest.raises(LibraryError):
                Library.open(saved)
            tried += 1
        (saved / name).write_bytes(data)
    Library.open(saved)
    assert tried > 800


def test_a_file_cut_off_or_grown_is_found(saved: Path) -> None:
    for name, data in contents(saved).items():
        for other in (b"", data[:-1], data + b" "):
            (saved / name).write_bytes(other)
            with pytest.raises(LibraryError, match=r"damaged|changed or cut off"):
                Library.open(saved)
        (saved / name).write_bytes(data)


def test_a_missing_file_is_named(saved: Path) -> None:
    for name, data in contents(saved).items():
        (saved / name).unlink()
        expected = "there is no manifest.json" if name == "manifest.json" else f"{name} is missing; restore it"
        with pytest.raises(LibraryError, match=expected):
            Library.open(saved)
        (saved / name).write_bytes(data)


def test_a_folder_that_is_no_library(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LibraryError, match=r"is not a library.*npi train"):
            Library.open(folder)


@pytest.mark.parametrize("text", ["[]", "{}", "3", '"format"', "{", '{"format": 1'])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(LibraryError, match="is damaged"):
        Library.open(tmp_path)


def test_another_format_is_refused_before_anything_else_is_looked_at(saved: Path) -> None:
    (saved / "manifest.json").write_text('{"format": 3, "something": "new"}')
    with pytest.raises(LibraryError, match="has format 3, this engine reads 2"):
        Library.open(saved)


@pytest.mark.parametrize("name", ["../outside", "programs/../../outside", "/etc/hostname"])
def test_a_manifest_cannot_lead_out_of_its_folder(saved: Path, name: str) -> None:
    (saved.parent / "outside").write_text("secret")
    rewrite(saved, lambda m: m["files"].update({name: sha256(b"secret")}))
    with pytest.raises(LibraryError, match="names a file outside the library"):
        Library.open(saved)


@pytest.mark.parametrize("digest", ["0" * 64, 3, None])
def test_a_program_text_that_is_not_there_is_not_read(saved: Path, digest: object) -> None:
    rewrite(saved, lambda m: m["programs"][0]["sources"][0].__setitem__(1, digest))
    with pytest.raises(LibraryError, match="do not fit each other"):
        Library.open(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["config"].update(hidden=14), "do not fit each other"),
        (lambda m: m["rows"].pop(), "do not fit each other"),
        (lambda m: m["rows"][0].update(colour="red"), "do not fit each other"),
        (lambda m: m.pop("worlds"), "do not fit each other"),
        (lambda m: m.update(core="0" * 64), "core is not the one that the manifest names"),
        (lambda m: m["programs"][0].update(digest="0" * 64), "are not those of the manifest"),
        (lambda m: m["programs"][0].update(sources=[]), "are not those of the manifest"),
        (lambda m: m["programs"][0]["sources"][0].__setitem__(0, "../strip.npi"), "are not those of the manifest"),
        (lambda m: [m["files"].pop(n) for n in list(m["files"]) if n.startswith("texts-")], "do not fit each other"),
        (lambda m: [m["files"].pop(n) for n in list(m["files"]) if n.startswith("rows-")], "do not fit each other"),
    ],
)
def test_parts_that_do_not_belong_together(saved: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    rewrite(saved, change)
    with pytest.raises(LibraryError, match=message):
        Library.open(saved)


def test_a_used_file_that_changed_with_its_hash_is_found(saved: Path) -> None:
    """The set's digest covers the files that it uses."""
    (path,) = saved.glob("texts-*.json")
    texts = path.read_text().replace("Back, to the end", "Back, to the begin")
    path.write_text(texts)
    rewrite(saved, lambda m: m["files"].update({path.name: sha256(texts.encode())}))
    with pytest.raises(LibraryError, match="the files that it uses are not those of the manifest"):
        Library.open(saved)


def test_what_was_checked_is_what_is_used(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a file is opened again after its hash was compared: here it changes in between."""
    before = Library.open(saved)

    def spoiled(folder: Path, name: str, digest: str) -> bytes:
        found = checked(folder, name, digest)
        (folder / name).write_bytes(b"another")
        return found

    monkeypatch.setattr(module, "checked", spoiled)
    assert same(Library.open(saved), before)


# --- overwriting ----------------------------------------------------------------------------------------------------


def test_program_files_of_a_library_are_a_list(saved: Path) -> None:
    library = Library.open(saved)
    sets = library.sets
    assert sets == [turn(), tape()]
    assert sets != [turn()]
    assert sets != "turn"
    assert sets[1].digest == tape().digest
    assert sets[:1] == [turn()]
    sets[0] = strip()
    sets += [turn()]
    assert [programs.sources[-1][0] for programs in sets] == ["strip.npi", "tape.npi", "turn.npi"]
    del sets[1]
    library.save(saved)
    assert Library.open(saved).sets == [strip(), turn()]


def test_overwriting_leaves_nothing_stale_and_nothing_else_touched(saved: Path) -> None:
    (saved / "programs").mkdir()
    for name in ("notes.txt", "programs/mine.npi", "core-of-an-apple.safetensors"):
        (saved / name).write_text("mine")
    library = untrained(CORE, strip())
    library.save(saved)
    assert same(Library.open(saved), library)
    left = set(contents(saved)) - set(json.loads((saved / "manifest.json").read_text())["files"]) - {"manifest.json"}
    assert left == {"notes.txt", "programs/mine.npi", "core-of-an-apple.safetensors"}


def test_rows_added_keep_the_core_file_as_it_is(saved: Path) -> None:
    library = Library.open(saved)
    (core,) = saved.glob("core-*")
    stamp = core.stat().st_mtime_ns
    with torch.no_grad():
        library.memory.keys_NK += 1
    library.save(saved)
    assert core.stat().st_mtime_ns == stamp
    assert len(list(saved.glob("rows-*"))) == 1
    assert same(Library.open(saved), library)


class CrashError(Exception):
    pass


def after(count: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which raises once it was called ``count`` times."""
    left = [count]

    def failing(*args: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise CrashError
        return real(*args)

    return failing


@pytest.mark.parametrize("where", [(written, "write_whole"), (Path, "replace")], ids=["before", "within"])
@pytest.mark.parametrize("crash", range(4))
def test_a_crash_between_writes_leaves_the_old_library_and_the_next_save_mends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], crash: int
) -> None:
    """Core, rows, texts, manifest: whichever fails, before it begins or when it is put in place."""
    old, new = untrained(SMALL, turn(), tape()), untrained(CORE, strip(), tape())
    old.save(tmp_path / "library")
    monkeypatch.setattr(*where, after(crash, getattr(*where)))
    with pytest.raises(CrashError):
        new.save(tmp_path / "library")
    monkeypatch.undo()
    assert same(Library.open(tmp_path / "library"), old)
    new.save(tmp_path / "library")
    assert same(Library.open(tmp_path / "library"), new)
    monkeypatch.setattr(*where, after(4, getattr(*where)))
    new.save(tmp_path / "fresh")
    assert contents(tmp_path / "library") == contents(tmp_path / "fresh")


def test_a_crash_after_the_manifest_leaves_the_new_library(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = untrained(CORE, strip())

    def crash(*args: Any) -> None:
        raise CrashError

    monkeypatch.setattr(written, "clear", crash)
    with pytest.raises(CrashError):
        new.save(saved)
    monkeypatch.undo()
    assert same(Library.open(saved), new)


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """Killed in the first write of a library: the same command resumes, and clears it away."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".core-0123456789abcdef.safetensors.77.part").write_bytes(b"half")
    check_folder(tmp_path / "out")
    untrained(CORE, strip()).save(tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))
    (tmp_path / "out" / ".hidden").touch()
    untrained(CORE, strip()).save(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [".hidden"]


def test_a_library_that_is_replaced_while_it_is_opened_is_the_new_one(saved: Path, monkeypatch) -> None:
    """As that of a running training is at each check: the manifest was read, and then its files are gone."""
    new, real = untrained(CORE, strip()), members.read_manifest

    def replaced(folder: Path) -> dict[str, Any]:
        found = real(folder)
        monkeypatch.undo()
        new.save(folder)
        return found

    monkeypatch.setattr(members, "read_manifest", replaced)
    assert same(Library.open(saved), new)


def test_a_damaged_library_can_be_overwritten(saved: Path) -> None:
    for name in contents(saved):
        (saved / name).write_bytes(b"damaged")
    library = untrained(SMALL, turn())
    library.save(saved)
    assert same(Library.open(saved), library)
    assert set(contents(saved)) == {"manifest.json", *json.loads((saved / "manifest.json").read_text())["files"]}


# --- rows, worlds, tasks --------------------------------------------------------------------------------------------


def test_files_of_one_world_share_its_primitives_and_common_programs() -> None:
    library = untrained(SMALL, strip(), turn(), tape())
    names = [i.name for i in library.memory.infos]
    assert names == [
        "world0.ACT",
        *(f"strip.{n}" for n in "MOVE SCAN HOME STAY ROUND ZERO BOTH".split()),
        *("turn.RUN", "turn.TURN", "world1.ACT", "tape.WIPE", "tape.ERASE"),
    ]
    assert [i.world for i in library.memory.infos] == [0] * 10 + [1] * 3
    assert [n for n, i in zip(names, library.memory.infos, strict=True) if i.primitive] == ["world0.ACT", "world1.ACT"]
    assert {i.source for i in library.memory.infos if i.name.startswith("turn.")} == {turn().digest}
    for programs in (strip(), turn(), tape()):
        found = [names[r] for r in library.rows(programs.table)]
        assert [n.rpartition(".")[2] for n in found] == [s.name.rpartition(".")[2] for s in programs.table.signatures]
        assert {n.split(".")[0] for n in found[1:]} <= WORDS


def test_a_program_without_a_row_is_named_with_the_closest() -> None:
    with pytest.raises(LibraryError, match=r"no row for turn.RUN; the closest it has is strip.ROUND; learn it first"):
        untrained(SMALL).rows(turn().table)


def test_a_world_that_the_core_has_no_adapter_for() -> None:
    with pytest.raises(LibraryError, match=r"never seen world 'tape' as it is declared; it knows strip\."):
        untrained(SMALL).stepper(tape().table)


def test_a_world_is_known_by_what_it_is_not_by_its_name() -> None:
    library = untrained(SMALL)
    renamed = loads(STRIP.replace("world strip", "world ribbon"), path="strip.npi")
    assert library.world(renamed.table.world) == 0
    wider = loads(STRIP.replace("0..2", "0..3"), path="strip.npi")
    with pytest.raises(LibraryError, match="never seen world 'strip' as it is declared"):
        library.world(wider.table.world)


def test_a_name_that_means_something_else_already() -> None:
    changed = STRIP.replace('program HOME "To the beginning":', 'program HOME(d: direction) "To the beginning":')
    changed = changed.replace("    HOME\n", "    HOME(LEFT)\n")
    other = loads(changed, path="strip.npi")
    with pytest.raises(LibraryError, match=r"already has a program strip.HOME with another world or other arguments"):
        missing_rows(untrained(SMALL).memory.infos, other.table, 0, generation=1, source="")
    elsewhere = loads(TAPE.replace("WIPE", "HOME"), path="strip.npi")
    with pytest.raises(LibraryError, match=r"already has a program strip.HOME with another world"):
        missing_rows(untrained(SMALL).memory.infos, elsewhere.table, 1, generation=1, source="")


def test_one_name_cannot_run_two_texts() -> None:
    """A used file that was edited since, or another file of the same name."""
    other = loads(STRIP.replace("P != 0 and not last(P)", "not last(P) and P != 0"), path="elsewhere/strip.npi")
    with pytest.raises(LibraryError, match=r"strip.ZERO has another text in elsewhere/strip.npi than in strip.npi"):
        untrained(SMALL, strip(), other)
    fresh = loads(STRIP + '\nprogram NEW "Home":\n    HOME\n', path="strip.npi")
    untrained(SMALL, strip(), fresh)


def test_tasks_by_name() -> None:
    library = new_library(SMALL, [dataset(strip()), dataset(turn())], seed=0)
    assert list(library.tasks()) == ["strip.both", "turn.turn"]
    assert library.task("turn")[1] is turn().tasks[0]
    assert library.task("strip.both")[0] is strip()
    with pytest.raises(LibraryError, match="no task 'tern'; did you mean 'turn'"):
        library.task("tern")
    with pytest.raises(LibraryError, match=r"no task 'xyzzy'; it has strip.both, turn.turn"):
        library.task("xyzzy")
    library.sets.append(loads(STRIP, path="other.npi"))
    with pytest.raises(LibraryError, match=r"several tasks are called 'both': strip.both, other.both"):
        library.task("both")
    assert library.task("other.both")[0] is library.sets[-1]


def test_the_digest_of_the_first_rows_covers_every_number_of_theirs() -> None:
    library = untrained(SMALL)
    seen = {library.rows_digest(3)}
    for parameter in library.memory.parameters():
        with torch.no_grad():
            parameter[3] += 1
            assert library.rows_digest(3) in seen
            parameter[2, -1] += 1
        assert library.rows_digest(3) not in seen
        seen.add(library.rows_digest(3))
    assert library.rows_digest() == library.rows_digest(len(library.memory))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_library_goes_through_cuda_unchanged(saved: Path) -> None:
    library = Library.open(saved, device="cuda")
    assert library.memory.keys_NK.device.type == "cuda"
    library.save(saved.parent / "copy")
    assert contents(saved) == contents(saved.parent / "copy")
