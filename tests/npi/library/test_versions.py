"""Manifests say what wrote them."""

import json
from importlib.metadata import version
from pathlib import Path

from npi.cli.main import main
from npi.library.library import Library
from npi.library.manifest import read_manifest
from npi.universal.core import SHIPPED
from tests.support.paths import PROGRAMS

NOW = {"npi-engine": version("npi-engine"), "torch": version("torch")}


def test_a_library_says_what_wrote_it(tmp_path: Path) -> None:
    """Red where the versions are those of the library that was opened, and not of the engine that wrote this one."""
    library = Library.open(SHIPPED)
    library.save(tmp_path / "library")
    assert read_manifest(tmp_path / "library").versions == NOW
    assert Library.open(tmp_path / "library").core.digest() == library.core.digest()


def test_a_trace_set_says_what_wrote_it(tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert main(["trace", str(PROGRAMS / "addition.npi"), "--task", "add", "--out", str(out), "--traces", "2"]) == 0
    assert json.loads((out / "manifest.json").read_text())["versions"] == NOW
    assert main(["check", str(out)]) == 0
