"""``npi library``: what it prints, how it ends, and that a library is as it was where it refuses."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from npi.cli.main import main
from npi.library.library import Library
from tests.support.operation_helpers import grown, versions_of
from tests.support.paths import ROOT
from tests.support.tape_programs import contents, document, npi
from tests.support.tiny import SMALL, strip, untrained


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with libraries of one core, and one of another."""
    folder = tmp_path_factory.mktemp("shop")
    grown().save(folder / "core")
    grown("turn", "again").save(folder / "mine")
    grown("twist", seed=1).save(folder / "yours")
    grown("turn", seed=1).save(folder / "theirs")
    untrained(SMALL, strip(), seed=1).save(folder / "other")
    mine, theirs = str(folder / "mine"), str(folder / "theirs")
    assert main(["library", "pack", mine, "AGAIN", "--out", str(folder / "again.npirow")]) == 0
    assert main(["library", "pack", mine, "AGAIN", "--alone", "--out", str(folder / "alone.npirow")]) == 0
    assert main(["library", "pack", theirs, "TURN", "--out", str(folder / "turn.npirow")]) == 0
    (folder / "cut.npirow").write_bytes((folder / "again.npirow").read_bytes()[:-9])
    return folder


def test_list(capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    code, out, _ = npi(capsys, "library", "list", shop / "mine")
    version = versions_of(grown("turn", "again"))["turn.TURN"][:12]
    assert code == 0
    assert ["turn.TURN", version, "turn.npi", "STAY,", "RUN", "To"] in [line.split()[:6] for line in out.splitlines()]
    assert "10 programs, 27 numbers (108 B) each" in out
    assert grown().core.digest() in out
    assert "strip.MOVE(d)" in out


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["--name", "TURN"], ["turn.RUN", "turn.TURN"]),
        (["--name", "(d"], ["strip.MOVE"]),
        (["--calls", "HOME"], ["strip.STAY", "strip.ROUND", "again.AGAIN"]),
        (["--calls", "turn.TURN"], ["again.AGAIN"]),
        (["--calls", "ACT", "--world", "strip"], ["strip.MOVE"]),
        (["--world", "tape"], []),
    ],
)
def test_list_some(capsys: pytest.CaptureFixture[str], shop: Path, filters: list[str], names: list[str]) -> None:
    found = document(capsys, "library", "list", shop / "mine", *filters)
    assert [row["name"] for row in found["rows"]] == names
    assert f"{len(names)} program" in npi(capsys, "library", "list", shop / "mine", *filters)[1]


def test_list_needs_no_torch(shop: Path) -> None:
    code = (
        "import sys\nfrom npi.cli.main import main\n"
        f"for words in (['list', {str(shop / 'mine')!r}], ['info', {str(shop / 'mine')!r}, 'TURN'],"
        f" ['diff', {str(shop / 'mine')!r}, {str(shop / 'mine')!r}]):\n    assert main(['library', *words]) == 0\n"
        "sys.exit(int('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_info_of_a_row(capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    versions = versions_of(grown("turn", "again"))
    out = npi(capsys, "library", "info", shop / "mine", "TURN")[1]
    assert out.splitlines()[0] == "turn.TURN  To the end, back, and to the end"
    assert f"version   {versions['turn.TURN']}\n" in out
    stay, run = versions["strip.STAY"][:12], versions["turn.RUN"][:12]
    assert f"calls     strip.STAY {stay}, turn.RUN {run}\n" in out
    assert "called by again.AGAIN\n" in out
    assert "learned   updates 1, seed 0\n" in out
    assert "together  turn.RUN\n" in out
    out = npi(capsys, "library", "info", shop / "mine", "MOVE")[1]
    assert "calls     ACT\n" in out
    assert "learned   with the core itself\n" in out
    assert npi(capsys, "library", "info", shop / "mine", "TURN", "--text")[1].strip().startswith('use "strip.npi"')
    assert document(capsys, "library", "info", shop / "mine", "TURN")["version"] == versions["turn.TURN"]


def test_info_of_a_file(capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    code, out, _ = npi(capsys, "library", "info", shop / "again.npirow")
    assert code == 0
    library = grown("turn", "again")
    masks = [library.memory.gates_NF[library.memory.index(row)] for row in ("turn.RUN", "turn.TURN", "again.AGAIN")]
    numbers = sum(SMALL.key + SMALL.row + int(mask.nonzero()[-1]) + 1 for mask in masks)  # up to the last code seen
    assert f"again.npirow: 3 rows, {numbers} numbers, " in out
    assert f"for core {grown().core.digest()}" in out
    found = document(capsys, "library", "info", shop / "again.npirow")
    assert [list(pack["rows"]) for pack in found["packages"]] == [["turn.RUN", "turn.TURN"], ["again.AGAIN"]]


def test_pack_add_and_remove(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop / "core", tmp_path / "library")
    code, out, _ = npi(capsys, "library", "add", tmp_path / "library", shop / "again.npirow")
    assert code == 0
    core, rows = grown().core.digest()[:16], versions_of(grown())
    lines = [line for line in out.splitlines() if "bit-identical" in line]
    assert lines[0] == f"core        {core}: bit-identical"
    assert [line.split()[:2] for line in lines[1:]] == [["old", "rows"], ["old", "outputs"]]
    assert "added       turn.RUN, turn.TURN, again.AGAIN" in out
    assert Library.open(tmp_path / "library").rows_digest() == grown("turn", "again").rows_digest()
    before = contents(tmp_path / "library")
    code, out, _ = npi(capsys, "library", "add", tmp_path / "library", shop / "again.npirow")
    assert code == 0
    assert "there       turn.RUN, turn.TURN, again.AGAIN (3 rows that are the same)" in out
    assert out.endswith("library is as it was\n")
    assert contents(tmp_path / "library") == before
    words = ["TURN", "--with-callers", "--out", tmp_path / "less"]
    found = document(capsys, "library", "remove", tmp_path / "library", *words)
    assert found["removed"] == ["turn.RUN", "turn.TURN", "again.AGAIN"]
    assert contents(tmp_path / "library") == before
    assert versions_of(Library.open(tmp_path / "less")) == rows


def test_replace(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    npi(capsys, "library", "remove", shop / "mine", "AGAIN", "--out", tmp_path / "library")
    assert npi(capsys, "library", "add", tmp_path / "library", shop / "turn.npirow")[0] == 2
    code, out, _ = npi(capsys, "library", "add", tmp_path / "library", shop / "turn.npirow", "--replace")
    assert code == 0
    assert "removed     turn.RUN, turn.TURN\nadded       turn.RUN, turn.TURN\n" in out
    assert npi(capsys, "library", "diff", tmp_path / "library", shop / "theirs")[0] == 0


def test_diff(capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    code, out, _ = npi(capsys, "library", "diff", shop / "mine", shop / "mine")
    assert code == 0
    assert "11 rows the same, 0 not" in out
    ours, theirs = versions_of(grown("turn", "again")), versions_of(grown("turn", seed=1))
    found = document(capsys, "library", "diff", shop / "mine", shop / "theirs", code=1)
    assert found["core"] == [grown().core.digest()] * 2
    assert found["only_first"] == {"again.AGAIN": ours["again.AGAIN"]}
    assert found["other"] == {name: [ours[name], theirs[name]] for name in ("turn.RUN", "turn.TURN")}
    code, out, _ = npi(capsys, "library", "diff", shop / "mine", shop / "other")
    assert code == 1
    assert f"core: {grown().core.digest()} and " in out


def test_merge(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    before = contents(shop / "mine"), contents(shop / "yours")
    found = document(capsys, "library", "merge", shop / "mine", shop / "yours", "--out", tmp_path / "ours")
    assert found["added"] == ["twist.RUN", "twist.TWIST"]
    assert (contents(shop / "mine"), contents(shop / "yours")) == before
    assert set(Library.open(tmp_path / "ours").tasks()) == {"strip.both", "turn.turn", "again.again", "twist.twist"}
    assert npi(capsys, "library", "merge", shop / "mine", shop / "theirs", "--out", tmp_path / "x")[0] == 2
    assert not (tmp_path / "x").exists()
    words = ["--out", tmp_path / "x", "--prefer", "second"]
    assert npi(capsys, "library", "merge", shop / "theirs", shop / "mine", *words)[0] == 0
    assert npi(capsys, "library", "diff", tmp_path / "x", shop / "mine")[0] == 0


BAD = [
    (["list", "{shop}/none"], ["is not a library: there is no manifest.json", "npi train"]),
    (["info", "{shop}/mine"], ["name a program of it too", "npi library list"]),
    (["info", "{shop}/mine", "TRUN"], ["has no program TRUN; did you mean"]),
    (["info", "{shop}/cut.npirow"], ["cut.npirow"]),
    (["pack", "{shop}/mine", "HOME", "--out", "{new}"], ["was trained with the core itself"]),
    (["pack", "{shop}/none", "AGAIN", "--out", "{new}"], ["there is no folder"]),
    (["pack", "{shop}/mine", "AGAIN"], ["Missing option '--out'"]),
    (["add", "{shop}/other", "{shop}/again.npirow"], ["is for another core", "the library has core"]),
    (["add", "{shop}/core", "{shop}/alone.npirow"], ["again.AGAIN needs turn.RUN, turn.TURN", "pack without --alone"]),
    (["add", "{shop}/mine", "{shop}/turn.npirow"], ["turn.RUN is there already", "--replace"]),
    (["add", "{shop}/core", "{shop}/again.npirow", "{shop}/cut.npirow"], ["cut.npirow"]),
    (["add", "{shop}/core", "{shop}/none.npirow"], ["there is no row file"]),
    (["add", "{shop}/again.npirow", "{shop}/again.npirow"], ["is a file; this takes the folder of a library"]),
    (["remove", "{shop}/mine", "TURN"], ["again.AGAIN calls them", "--with-callers"]),
    (["merge", "{shop}/mine", "{shop}/theirs", "--out", "{new}"], ["both libraries have other rows", "--prefer"]),
    (["merge", "{shop}/mine", "{shop}/other", "--out", "{new}"], ["strip.MOVE (and", "/other (", "--prefer"]),
    (["merge", "{shop}/mine", "{shop}/yours", "--out", "{shop}"], ["holds other files and is no library"]),
    (["diff", "{shop}/mine", "{shop}/none"], ["is not a library"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "parts"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_clear_message(capsys, shop: Path, tmp_path, words: list[str], parts: list[str]) -> None:
    before = contents(shop)
    code, _, err = npi(capsys, "library", *(word.format(shop=shop, new=tmp_path / "new") for word in words))
    assert code == 2
    assert [part for part in parts if part not in err] == [], err
    assert "Traceback" not in err
    assert contents(shop) == before
    assert not (tmp_path / "new").exists()
