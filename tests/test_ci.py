"""The line that a run of CI ends in, from reports as pytest writes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TALLY = ROOT / ".ci" / "tally.py"
PASSES, FAILS = "def test_a(): pass\n", "def test_b(): assert False\n"
SKIPS, BREAKS = "import pytest\ndef test_c(): pytest.skip()\n", "import nowhere_at_all\n"


def tallied(folder: Path, *texts: str) -> subprocess.CompletedProcess[str]:
    """What the tally says of a real run of pytest on these files."""
    for number, text in enumerate(texts):
        (folder / f"test_{number}.py").write_text(text)
    pytest_runs = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml", "."]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins take most of the time of so short a run
    subprocess.run(pytest_runs, cwd=folder, env=bare, capture_output=True, check=False)
    line = [sys.executable, str(TALLY), str(folder / "report.xml")]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("texts", "status", "line"),
    [
        ((PASSES, SKIPS), 0, "1 passed, 0 failed, 1 skipped\n"),
        ((PASSES, FAILS, SKIPS), 1, "1 passed, 1 failed, 1 skipped\n"),
        ((BREAKS,), 1, "0 passed, 1 failed, 0 skipped\n"),
        ((SKIPS,), 1, ""),
    ],
)
def test_the_line_is_that_of_the_report(tmp_path: Path, texts: tuple[str, ...], status: int, line: str) -> None:
    found = tallied(tmp_path, *texts)
    assert (found.returncode, found.stdout) == (status, line)
    assert bool(found.stderr) == (line == "")


@pytest.mark.parametrize("report", ["", "<testsuites", "<testsuites></testsuites>"])
def test_a_report_that_holds_no_test_fails(tmp_path: Path, report: str) -> None:
    path = tmp_path / "report.xml"
    path.write_text(report)
    found = subprocess.run([sys.executable, str(TALLY), str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stdout == ""


def test_the_script_runs_the_demonstration_first_and_the_tests_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    made = [line.split("make ")[1].split()[0] for line in lines if "make " in line and not line.startswith("#")]
    assert made == ["demo", "test"]
    assert lines[-1] == 'exit "$status"'
