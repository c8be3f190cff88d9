"""The public face: what a function does beside what its command does."""

import json
import os
import subprocess
import sys

import pytest
import torch

import npi
from npi.universal.core import SHIPPED
from tests.support.paths import ROOT


def test_rows_are_learned_in_memory_and_written_where_that_is_asked(tmp_path) -> None:
    """A library in memory gains the rows; no file changes but in ``out``."""
    before = {path: path.read_bytes() for path in SHIPPED.iterdir()}
    library = npi.Library.open(SHIPPED)
    files = [ROOT / "programs" / "examples" / name for name in ("reverse.npi", "copy.npi")]
    assert npi.learn(library, files[:1]).solved
    assert npi.run("reverse.reverse", ["abc"], library=library).right
    with pytest.raises(npi.LibraryError, match="already"):
        npi.learn(library, files[:1])
    assert npi.learn(library, files[1:], out=tmp_path / "library").solved
    assert set(npi.Library.open(tmp_path / "library").tasks()) == set(library.tasks())
    assert {path: path.read_bytes() for path in SHIPPED.iterdir()} == before


@pytest.mark.thorough
def test_training_comes_to_the_numbers_of_the_command(tmp_path) -> None:
    """Where nothing says how many threads there are; red where a script computes with all that PyTorch takes."""
    file = str(ROOT / "programs" / "addition.npi")
    script = (
        "import npi, torch\n"
        "torch.set_num_threads(2)\n"
        f"training = npi.TrainConfig(seed=3, updates=4)\n"
        f"found = npi.train([{file!r}], out='script', training=training, traces=4, device='cpu')\n"
        "print(found.library.core.digest(), found.library.rows_digest(), torch.get_num_threads())\n"
    )
    settings = ["--seed", "3", "--updates", "4", "--traces", "4", "--device", "cpu", "--json"]
    command = ["-m", "npi.cli.main", "train", file, "--out", "command", *settings]
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {"PYTHONPATH": str(ROOT)}

    def output(*words: str) -> str:
        return subprocess.run([sys.executable, *words], cwd=tmp_path, env=free, capture_output=True, text=True).stdout

    found = json.loads(output(*command))
    assert output("-c", script).split() == [found["core"], found["rows"], "2"]


def test_how_many_threads_there_are_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = npi.api.threads_of_commands()(torch.get_num_threads)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert inside() == 2
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert inside() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
