"""Curves and settings of a run for TensorBoard, whatever is trained."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from envs.support.atomic_files import named
from npi.training.loop import Objective, Progress, Reporter, Schedule


def check_log(folder: Path | None) -> None:
    """``ValueError`` where curves are asked for, and TensorBoard is not installed."""
    if folder is not None and find_spec("tensorboard") is None:
        raise ValueError("a log needs TensorBoard, which is not installed: pip install 'npi-engine[plots]'")


@contextmanager
def scalar_log(
    folder: Path | None, objective: Objective, schedule: Schedule, settings: Mapping[str, Any]
) -> Iterator[Reporter]:
    """Writes the loss, the learning rates and an objective's scalars after each update, where a folder is given.

    The settings are a text beside them. The first report purges what an earlier run wrote from that update on: no curve
    has a point twice after a resume. What was reported is on the disk after every check, as the state that is resumed
    from is. An ``OSError`` names the folder.
    """
    check_log(folder)
    if folder is None:
        yield lambda progress: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with ExitStack() as stack:
        writers: list[SummaryWriter] = []

        tell = threading.excepthook  # of TensorBoard's thread, whose errors are raised here as well
        threading.excepthook = lambda found: None if issubclass(found.exc_type, OSError) else tell(found)
        stack.callback(setattr, threading, "excepthook", tell)

        @stack.callback
        def close() -> None:
            with named(folder):
                for writer in writers:
                    writer.close()

        def write(progress: Progress) -> None:
            with named(folder):
                if not writers:
                    writers.append(SummaryWriter(str(folder), purge_step=progress.update))
                    text = json.dumps(settings, indent=1, default=str).replace("\n", "\n    ")
                    writers[0].add_text("settings", f"    {text}", progress.update)
                (writer,) = writers
                rates = {f"rate/{name}": rate for name, rate in progress.rates.items()}
                for name, value in {"loss": progress.loss, **rates, **objective.scalars(progress)}.items():
                    writer.add_scalar(name, value, progress.update)
                if progress.update % schedule.check_every == 0:
                    writer.flush()

        yield write
