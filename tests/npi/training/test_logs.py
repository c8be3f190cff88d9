"""What is told of training: curves for TensorBoard, the logger of Python users, the bar in a terminal."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import npi
from meta.optimisation.learner import LEARNER
from npi.cli.console import Meter
from npi.jobs.train import train_library
from npi.training import scalar_log
from npi.training.frame_objective import Report
from tests.support.paths import PROGRAMS
from tests.support.tiny import CORE, STRIP, training

QUICK: dict[str, Any] = {"updates": 4, "batch": 4, "truncation": 20, "check_every": 2, "problems": 4}
QUADRATIC = PROGRAMS / "learning" / "quadratic.npi"


def curves_in(folder: Path) -> Any:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return events.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def test_no_curve_has_a_point_twice_after_a_kill(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (tmp_path / "strip.npi").write_text(STRIP)

    def job(report=lambda found: None):
        train_library(
            [tmp_path / "strip.npi"], out=tmp_path / "out", core=CORE, traces=4, device="cpu", log=tmp_path / "log",
            training=training(updates=25, check_every=10, rate=1e-5), report=report,
        )  # fmt: skip

    def killed(found: Report) -> None:
        if found.update == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job(killed)
    job()
    curves = events.EventAccumulator(str(tmp_path / "log"), size_guidance={"scalars": 0}).Reload()
    assert {"loss", "error/strip.SCAN"} <= set(curves.Tags()["scalars"])
    for name in curves.Tags()["scalars"]:
        assert [event.step for event in curves.Scalars(name)] == list(range(1, 26))


def test_a_learners_log_has_curves_rates_and_settings(tmp_path: Path) -> None:
    """The rate falls along the schedule from the peak; scores are of each update's last check."""
    quick = type(LEARNER.training)(**{**LEARNER.training.to_json(), **QUICK})
    npi.train([QUADRATIC], out=tmp_path / "out", training=quick, log=tmp_path / "log")
    curves = curves_in(tmp_path / "log")
    found = {name: [event.value for event in curves.Scalars(name)] for name in curves.Tags()["scalars"]}
    assert found.keys() == {"loss", "rate/core", "rate/rows", "score/quadratic.OPTIMISE"}
    assert len(found["loss"]) == 4
    assert len(found["score/quadratic.OPTIMISE"]) == 3  # none before the first check
    rates = found["rate/core"]
    assert rates[0] == pytest.approx(quick.rate)
    assert rates == sorted(rates, reverse=True)
    text = curves.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert json.loads(text)["units"] == 20
    assert {key: json.loads(text)[key] for key in quick.to_json()} == quick.to_json()


def test_a_log_without_tensorboard_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scalar_log, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"needs TensorBoard, which is not installed: pip install 'npi-engine\[plots\]'"
    ):
        npi.train([QUADRATIC], out=tmp_path / "out", log=tmp_path / "log")
    assert not list(tmp_path.iterdir())


# --- for Python users ------------------------------------------------------------------------------------------------


def train_strip(folder: Path, **more: Any) -> None:
    (folder / "strip.npi").write_text(STRIP)
    config = training(updates=20, check_every=10, rate=1e-5)
    npi.train([folder / "strip.npi"], out=folder / "out", core=CORE, training=config, traces=4, device="cpu", **more)


def test_the_logger_is_told_of_every_check(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="npi"):
        train_strip(tmp_path)
    first, last = (record.getMessage() for record in caplog.records if record.name == "npi.training")
    assert first.startswith("update 10 of 20: loss ")
    assert last.startswith("update 20 of 20: loss ")
    assert "error/strip.SCAN" in first


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_prints_the_same_and_leaves_logging_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verbose: bool
) -> None:
    logger = logging.getLogger("npi")
    before = logger.level, list(logger.handlers)
    train_strip(tmp_path, verbose=verbose)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("update ")]
    assert len(lines) == (2 if verbose else 0)
    assert (logger.level, logger.handlers) == before


def test_rows_are_told_of_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = type(LEARNER.training)(**{**LEARNER.training.to_json(), **QUICK})
    npi.train([QUADRATIC], out=tmp_path / "out", training=quick)
    settings = type(LEARNER.learning)(**{**LEARNER.learning.to_json(), **QUICK, "starts": 1})
    npi.learn(tmp_path / "out", [QUADRATIC.with_name("rosenbrock.npi")], settings=settings, verbose=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line[:15] for line in lines] == ["update 2 of 4: ", "update 4 of 4: "]
    assert all("rosenbrock.OPTIMISE" in line for line in lines)


# --- in a terminal ---------------------------------------------------------------------------------------------------

NOTE = "loss 0.123; wrong: addition.ADD 12%, bubblesort.COMPSWAP 9%, and 3 more; problems solved: 12 of 64; 12 s left"


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_bar_count_and_time_are_there_whatever_the_note_is(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the note squeezes the others to nothing, as a grid of rich does by itself."""
    monkeypatch.setattr(
        "npi.cli.console.console", lambda stream: Console(file=stream, force_terminal=True, width=width)
    )
    shown = Console(file=io.StringIO(), width=width)
    with Meter("training") as meter:
        meter.update(1200, 3000, NOTE)
        shown.print(meter._progress.get_renderable())
    (line,) = shown.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(line) <= width
    assert line.startswith("training ")
    assert 6 <= line.count("━") <= 16
    assert " 1200/3000 0:00:0" in line
    assert "loss 0.123" in line if width >= 80 else "loss" in line
    assert line.rstrip().endswith("12 s left" if width == 200 else "…")
