"""``npi train --seeds``: a table over seeds, JSON, folders, and going on after Ctrl-C."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from npi.cli.sweep import show_spread
from npi.jobs.sweep import Spread
from npi.library.library import Library
from tests.support.interrupted import interrupted
from tests.support.paths import ROOT
from tests.support.tape_programs import npi
from tests.support.tiny import STRIP

QUICK = ["--traces", "4"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "strip.npi").write_text(STRIP)
    return tmp_path / "strip.npi"


def test_a_table_over_seeds(capsys, source: Path) -> None:
    out = source.parent / "out"
    code, text, _ = npi(capsys, "train", source, "--seeds", "3..4", "--out", out, *QUICK)
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[:2] for line in lines[2:4]] == [["3", "solved"], ["4", "solved"]]
    assert lines[4].startswith("2 of 2 seeds solved")
    assert lines[5].startswith("updates until solved: ")
    assert lines[6].startswith(f"the libraries are in {out}/seed-N")
    assert Library.open(out / "seed-3").core.digest() != Library.open(out / "seed-4").core.digest()


def test_the_same_as_json(capsys, source: Path) -> None:
    out = source.parent / "out"
    words = ["train", source, "--seeds", "0,2", "--out", out, "--updates", 2, *QUICK, "--json"]
    code, text, _ = npi(capsys, *words)
    found = json.loads(text)
    assert (code, found["solved"], found["interrupted"], found["updates"]) == (1, 0, False, None)
    assert [(one["seed"], one["updates"], one["solved"]) for one in found["seeds"]] == [(0, 2, False), (2, 2, False)]
    for one in found["seeds"]:
        assert one["core"] == Library.open(out / f"seed-{one['seed']}").core.digest()
    states = ["seed-0.training", "seed-2.training"]  # of seeds that are not solved
    assert sorted(p.name for p in out.iterdir() if p.suffix) == states
    code, text, _ = npi(capsys, *[3 if word == 2 else word for word in words])
    found = json.loads(text)
    assert [(one["updates"], one["resumed"]) for one in found["seeds"]] == [(3, True), (3, True)]


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


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_goes_on(source: Path, by: signal.Signals) -> None:
    """At a low rate, which is not done at its first check."""
    out = source.parent / "out"
    words = [sys.executable, "-m", "npi.cli.main", "train", str(source), "--seeds", "0..1", "--out", str(out)]
    words += ["--rate", "0.00003", *QUICK]
    states = [out / f"seed-{seed}.training" / "checkpoint.safetensors" for seed in (0, 1)]
    text, err = interrupted(words, *states, by=by)
    assert "the states of 2 seeds are kept in" in err
    assert text.count("interrupted") == 2

    done = subprocess.run([*words, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert [one["resumed"] for one in found["seeds"]] == [True, True]
    assert not found["interrupted"]
    assert all(one["solved"] for one in found["seeds"])
    assert sorted(p.name for p in out.iterdir()) == ["seed-0", "seed-1"]


def test_how_a_spread_is_shown() -> None:
    assert show_spread(Spread.of([500, 700])) == "600 ± 141 (mean and standard deviation of 2 seeds), 500 to 700"
    assert show_spread(Spread.of([1500])) == "1,500 (one seed)"
