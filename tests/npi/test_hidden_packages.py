"""A user's own module that has the name of one of the engine's packages: importing npi says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [("-c", "import npi"), ("-m", "npi.cli.main", "--version")])
@pytest.mark.parametrize(("file", "hiding"), [("envs/__init__.py", "envs"), ("traces.py", "traces.py")])
def test_a_module_that_hides_a_package(tmp_path: Path, words: tuple[str, ...], file: str, hiding: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    done = python(tmp_path, *words)
    name = hiding.removesuffix(".py")
    message = f"ImportError: {tmp_path / hiding} hides the package {name!r} of the engine ({ROOT / name})"
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.rstrip().endswith("rename it, or run from another folder")


def test_what_hides_nothing(tmp_path: Path) -> None:
    """A folder of data, and modules of other names."""
    for name in ("traces", "meta"):
        (tmp_path / name).mkdir()
    (tmp_path / "worlds.py").touch()
    done = python(tmp_path, "-c", "import npi, meta, traces; print(meta.__file__, traces.__file__)")
    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("meta", "traces")], done.stderr
