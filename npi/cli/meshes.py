"""``npi eval TASK --meshes FOLDER``: a core on users' own meshes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from npi.cli.console import SCORED, Column, Meter, Screen, finish, open_library
from npi.cli.words import plural

if TYPE_CHECKING:
    from envs.cars.mesh import Mesh
    from npi.running.mesh_accuracy import MeshScore


def evaluate_meshes(
    screen: Screen,
    tasks: Sequence[str],
    library: Path,
    folder: Path,
    *,
    up: str,
    forward: str,
    count: int | None,
    seed: int,
    device: str,
) -> None:
    """Load the meshes, run the task on each, print a table by mesh."""
    from npi.running.mesh_accuracy import score_meshes, starts

    if len(tasks) != 1:
        raise ValueError("--meshes takes the name of one task, such as canonicalise")
    opened = open_library(library, device)
    programs, task = opened.task(tasks[0])
    poses = starts(programs, task, count=count, seed=seed)
    meshes, broken = load_meshes(screen, folder, up=up, forward=forward)
    scores: list[MeshScore] = []
    with Meter("evaluating") as meter:
        for score in score_meshes(opened, programs, task, meshes, poses, device=device):
            scores.append(score)
            meter.update(len(scores), len(meshes), score.mesh)
    what = plural(len(meshes), "mesh", "meshes")
    screen.line(f"{task.name} on {what} of {folder}, {plural(len(poses), 'start')} each")
    rows = [*scores, together(scores)] if len(scores) > 1 else scores
    screen.table(rows, Column("mesh"), *SCORED, failed=lambda score: score.right < score.count)
    screen.document(
        {
            "task": task.name,
            "meshes": [vars(score) | {"accuracy": score.right / score.count} for score in scores],
            "broken": [{"mesh": name, "reason": reason} for name, reason in broken],
        }
    )
    finish(all(score.right == score.count for score in scores))


def load_meshes(
    screen: Screen, folder: Path, *, up: str, forward: str
) -> tuple[list[tuple[str, Mesh]], list[tuple[str, str]]]:
    """The meshes that can be used, and those that cannot with the reasons, told on stderr.

    Raises ``ValueError`` with the reasons where none can be used.
    """
    from envs.cars.mesh_files import load_folder

    good, broken = load_folder(folder, up=up, forward=forward)
    reasons = [f"{name}: {reason}" for name, reason in broken]
    if not good:
        raise ValueError("\n  ".join([f"{folder} has no mesh that can be used", *reasons]))
    for reason in reasons:
        screen.note(f"npi: left out: {reason}")
    return good, broken


def together(scores: Sequence[MeshScore]) -> MeshScore:
    """The score over all meshes."""
    from npi.running.mesh_accuracy import MeshScore

    count = sum(score.count for score in scores)
    steps = sum(score.steps * score.count for score in scores) / max(1, count)
    wrong = tuple(inputs for score in scores for inputs in score.wrong)
    return MeshScore("all", sum(s.right for s in scores), count, steps, sum(s.seconds for s in scores), wrong)
