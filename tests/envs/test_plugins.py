"""Worlds of users on the command line: by a package's entry point, and by a module that registers them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULE = """
from envs import register_world
from envs.scratchpad.world import Scratchpad


def make(name, config, *, data=None):
    row = {"name": "A", "symbols": ["0", "1"], "blank": False}
    pointer = {"name": "A", "row": "A", "start": "left", "sees": True}
    return Scratchpad(name, {"rows": [row], "pointers": [pointer]})
"""

TEXT = """\
world lane is tape

program GO "One step":
    ACT(A, RIGHT)
"""

HERE = 'register_world("tape", make)\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "go.npi").write_text(TEXT)
    return tmp_path


def npi(folder: Path, *words: str, **variables: str) -> tuple[int, str]:
    """Exit status and output of a command in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "npi.cli.main", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def packed(folder: Path, module: str) -> str:
    """A package with an entry point, as an installation leaves it; where it is found."""
    site = folder / "site"
    about = site / "tapes-1.dist-info"
    about.mkdir(parents=True)
    (site / "tapes.py").write_text(module)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tapes\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[npi.worlds]\ntape = tapes:make\n")
    return f"{ROOT}{os.pathsep}{site}"


def test_the_world_of_a_package_is_found(folder: Path) -> None:
    assert npi(folder, "check", "go.npi")[0] == 2
    status, out = npi(folder, "check", "go.npi", PYTHONPATH=packed(folder, MODULE))
    assert status == 0, out
    assert "GO" in out


def test_a_package_that_cannot_be_imported_is_named(folder: Path) -> None:
    status, out = npi(folder, "check", "go.npi", PYTHONPATH=packed(folder, "import nothing_of_that_name\n"))
    assert status == 2
    assert "tapes offers 'tape' (npi.worlds) as tapes:make, which cannot be imported (ModuleNotFoundError" in out
    assert "Traceback" not in out


def test_a_module_beside_the_program_files_registers_worlds(folder: Path) -> None:
    """By the option and by the variable, which workers that trace side by side inherit."""
    (folder / "tapes.py").write_text(MODULE + HERE)
    assert npi(folder, "check", "go.npi")[0] == 2
    for words, variables in ((["--plugin", "tapes"], {}), ([], {"NPI_PLUGINS": "tapes"})):
        status, out = npi(folder, *words, "check", "go.npi", **variables)
        assert status == 0, out
        assert "GO" in out


def test_a_module_that_cannot_be_imported_is_named(folder: Path) -> None:
    status, out = npi(folder, "--plugin", "tape", "check", "go.npi")
    assert status == 2
    assert "NPI_PLUGINS names the module tape, which cannot be imported (ModuleNotFoundError" in out
    assert "Traceback" not in out
