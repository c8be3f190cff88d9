"""What is given to others: a wheel that works without the repository, its metadata, hooks and citation."""

import json
import os
import subprocess
import sys
import tomllib
from email import message_from_string
from pathlib import Path

import pytest
import yaml

import npi
from npi.cli.examples import about
from npi.cli.main import main
from npi.library.examples import cards, copy_examples, examples
from npi.universal.core import SHIPPED
from tests.support.paths import ROOT

PACKAGES = ("envs", "dsl", "traces", "npi", "meta")
SHARED = Path(yaml.__file__).parents[1]
"""The folder of installed packages that the wheel depends on."""

SMALL_DEMO = """
import sys
import npi
from npi.cli import demo, main
assert npi.__file__.startswith(sys.prefix), npi.__file__
demo.TRAINED, demo.SHOWN = ("bubblesort.npi",), ("sort", "3,1,2")
demo.TESTS = [demo.Test(test.task, {min(test.counts): 10}, 0, 0.0) for test in demo.TESTS if test.task != "add"]
sys.exit(main.main(["demo", "--json"]))
"""
"""All of ``npi demo`` but for addition and long inputs."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which finds what that depends on among the packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = [path for layer in (*PACKAGES, "programs") for path in (ROOT / layer).rglob("*") if path.is_file()]
    named = [ROOT / name for name in ("LICENSE", "README.md", "pyproject.toml")]
    for path in (path for path in (*named, *listed) if "__pycache__" not in path.parts):
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "-q"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", folder, source], check=True, cwd=folder)
    (wheel,) = folder.glob("npi_engine-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "shared.pth").write_text(f"{SHARED}\n")
    subprocess.run([*pip, "--python", python, "install", *offline, wheel], check=True, cwd=folder)
    return folder / "venv"


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the environment, in a folder, without what points to the checkout."""
    free = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    command = [installed / "bin" / words[0], *words[1:]]
    return subprocess.run(command, cwd=folder, env=free, capture_output=True, text=True, check=False)


def test_the_wheel_has_the_files_of_the_packages_and_the_examples(installed: Path) -> None:
    (packages,) = (installed / "lib").glob("python*/site-packages")
    source = installed.parent / "source"
    for path in (path for layer in PACKAGES for path in (source / layer).rglob("*") if path.is_file()):
        assert (packages / path.relative_to(source)).is_file(), path
    for path in (source / "programs").rglob("*.npi"):
        assert (packages / "npi" / path.relative_to(source)).read_bytes() == path.read_bytes()
    (metadata,) = packages.glob("npi_engine-*.dist-info/METADATA")
    about = message_from_string(metadata.read_text(encoding="utf-8"))
    assert about["Description-Content-Type"] == "text/markdown"
    assert about.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert "Typing :: Typed" in about.get_all("Classifier", [])


def test_examples_of_the_wheel_are_copied_and_checked_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    copied = run(installed, tmp_path, "npi", "examples", "--copy", "programs")
    assert copied.returncode == 0, copied.stderr
    assert {path.name for path in (tmp_path / "programs").iterdir()} >= {"addition.npi", "learning", "recursive"}
    checked = run(installed, tmp_path, "npi", "check", "programs/composition/median.npi")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.thorough
def test_the_demo_of_the_wheel_runs_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    demo = run(installed, tmp_path, "python", "-c", SMALL_DEMO)
    assert demo.returncode == 0, demo.stderr
    result = json.loads(demo.stdout)
    assert result["unchanged"]
    assert [(score["task"], score["right"], score["count"]) for score in result["scores"]] == [
        ("sort", 10, 10), ("max", 10, 10),
    ]  # fmt: skip
    assert len(result["proved"]) == 9
    assert all(result["proved"].values())


def test_examples_are_copied_once_and_overwrite_nothing(tmp_path: Path) -> None:
    kept = copy_examples(tmp_path / "p")
    assert len(kept) == len(list((ROOT / "programs").rglob("*.npi")))
    mine = tmp_path / "p" / "max.npi"
    kept[0].unlink()  # as where a copy was interrupted
    assert copy_examples(tmp_path / "p") == kept
    assert kept[0].read_bytes() == (examples() / kept[0].name).read_bytes()
    mine.write_text("# mine\n")
    kept[0].unlink()
    with pytest.raises(ValueError, match=r"max\.npi is there and is not the example"):
        copy_examples(tmp_path / "p")
    assert mine.read_text() == "# mine\n"
    assert not kept[0].exists()


def test_an_installation_without_examples_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npi.library.examples.PACKAGE", tmp_path / "npi")
    with pytest.raises(ValueError, match="no example programs; install"):
        examples()


def test_examples_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    files = {entry["file"]: entry["about"] for entry in listed["programs"]}
    assert set(files) == {path.relative_to(ROOT / "programs").as_posix() for path in (ROOT / "programs").rglob("*.npi")}
    assert files["addition.npi"].startswith("Addition")
    assert [name for name, text in files.items() if len(text) < 10] == []
    assert about('program P "Do it. At once":\n    Q\n') == "Do it"
    assert about("world w is scratchpad\n") == ""


def test_every_shipped_core_has_a_card() -> None:
    """Hosts and a collection's members are on the card of what they are in."""
    manifests = [path for layer in PACKAGES for path in (ROOT / layer).rglob("shipped/**/manifest.json")]
    inside = {"member", "host"}
    shipped = {path.parent for path in manifests if path.parent.name.partition("-")[0] not in inside}
    assert set(cards()) == shipped
    digest = json.loads((SHIPPED / "manifest.json").read_text())["core"]
    assert digest[:16] in cards()[SHIPPED]


def test_hooks_and_citation_fit_the_project() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert [hook["id"] for hook in hooks] == ["npi-fmt", "npi-check"]
    for hook in hooks:
        command, *words = hook["entry"].split()
        assert command in project["scripts"]
        assert main([*words, str(ROOT / "programs" / "max.npi")]) == 0
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert project["version"] == npi.__version__


@pytest.mark.parametrize(("typed", "found"), [("npi exam", ["examples"]), ("npi train --core", ["--core"])])
def test_the_shell_completes_commands_and_options(
    typed: str, found: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_NPI_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    main([])
    assert capsys.readouterr().out.split() == found
