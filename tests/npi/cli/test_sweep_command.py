"""``npi train --seeds``: a table over seeds, JSON, folders, and going on after Ctrl-C."""

import json
import signal
from pathlib import Path

import pytest

from benchmarks.faults.forked_seeds import forks, in_forks
from npi.cli.sweep import show_spread
from npi.jobs.sweep import Spread
from npi.library.library import Library
from tests.support.interrupted import interrupted
from tests.support.tape_programs import npi
from tests.support.tiny import STRIP

QUICK = ["--traces", "4", "--bits", "2"]
"""Seeds are forked where a library was trained before, so that everything is imported: a process starts at once."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "strip.npi").write_text(STRIP)
    return tmp_path / "strip.npi"


@pytest.mark.usefixtures("raw_library")
def test_a_table_over_seeds(capsys, source: Path, monkeypatch) -> None:
    monkeypatch.setattr("npi.jobs.sweep._start", forks(2).pop)
    out = source.parent / "out"
    code, text, _ = npi(capsys, "train", source, "--seeds", "3..4", "--out", out, *QUICK)
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[:2] for line in lines[2:4]] == [["3", "solved"], ["4", "solved"]]
    assert lines[4].startswith("2 of 2 seeds solved")
    assert lines[5].startswith("updates until solved: ")
    assert lines[6].startswith(f"the libraries are in {out}/seed-N")
    assert Library.open(out / "seed-3").core.digest() != Library.open(out / "seed-4").core.digest()
    assert sorted(p.name for p in out.iterdir()) == ["seed-3", "seed-4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "1,x"], "--seeds '1,x': 'x' is no seed"),
        (["--seeds", "3..1"], "'3..1' is empty"),
        (["--seeds", "0..1", "--seed", "4"], "--seed does not apply with --seeds: name it among --seeds"),
        (["--seeds", "0..1", "--out", "{file}"], "is a file; name a folder"),
        (["--seeds", "0..1", "--out", "{library}"], "is a library itself"),
        (["--seeds", "0..1", "--out", "{other}"], "seed-1 holds other files and is no library"),
    ],
)
def test_what_it_refuses(capsys, source: Path, words: list[str], message: str) -> None:
    folder = source.parent
    (folder / "library").mkdir()
    (folder / "library" / "core-0.safetensors").touch()
    (folder / "other" / "seed-1").mkdir(parents=True)
    (folder / "other" / "seed-1" / "notes.txt").touch()
    names = {"file": source, "library": folder / "library", "other": folder / "other"}
    given = [word.format(**names) for word in words]
    more = [] if "--out" in given else ["--out", folder / "new"]
    code, out, err = npi(capsys, "train", source, *given, *more)
    assert (code, out) == (2, "")
    assert message in err
    assert not (folder / "new").exists()


@pytest.mark.usefixtures("raw_library")
@pytest.mark.parametrize("by", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_an_interrupted_sweep_resumes(capsys, source: Path, by: signal.Signals, monkeypatch) -> None:
    """At a rate that solves nothing, so that both seeds are still training; then without updates that are left.

    For Ctrl-C, and then, the seeds' processes are forked, so that nothing is imported again.
    """
    out = source.parent / "out"
    words = ["train", str(source), "--seeds", "0,2", "--out", str(out), "--rate", "1e-9", *QUICK]
    states = [out / f"seed-{seed}.training" / "checkpoint.safetensors" for seed in (0, 2)]
    text, err = interrupted(words, *states, by=by, prepare=in_forks)
    assert "the states of 2 seeds are kept in" in err
    assert text.count("interrupted") == 2
    assert all(state.exists() for state in states)
    assert not list(out.glob("seed-?"))
    if by == signal.SIGTERM:
        return

    monkeypatch.setattr("npi.jobs.sweep._start", forks(2).pop)
    code, text, _ = npi(capsys, *words, "--updates", 1, "--json")
    found = json.loads(text)
    assert (code, found["solved"], found["interrupted"], found["updates"]) == (1, 0, False, None)
    assert [(one["seed"], one["resumed"], one["solved"]) for one in found["seeds"]] == [
        (0, True, False),
        (2, True, False),
    ]
    for one in found["seeds"]:
        assert one["updates"] > 1
        assert one["core"] == Library.open(out / f"seed-{one['seed']}").core.digest()
    assert sorted(p.name for p in out.iterdir() if p.suffix) == ["seed-0.training", "seed-2.training"]  # not solved


def test_how_a_spread_is_shown() -> None:
    assert show_spread(Spread.of([500, 700])) == "600 ± 141 (mean and standard deviation of 2 seeds), 500 to 700"
    assert show_spread(Spread.of([1500])) == "1,500 (one seed)"
