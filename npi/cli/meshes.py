"""``npi eval TASK --meshes FOLDER``: a core on users' own meshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npi.cli.console import DONE, NOT_REACHED, Meter, Screen, duration, finish, grid, open_library, percent, plural

if TYPE_CHECKING:
    from rich.table import Table

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
    screen.say(mesh_table(scores))
    screen.document(
        {
            "task": task.name,
            "meshes": [mesh_document(score) for score in scores],
            "broken": [{"mesh": name, "reason": reason} for name, reason in broken],
        }
    )
    finish(DONE if all(score.right == score.count for score in scores) else NOT_REACHED)


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


def mesh_table(scores: Sequence[MeshScore]) -> Table:
    """Accuracy by mesh, and of all together."""
    right = ("solved", "accuracy", "steps each", "time")
    table = grid("mesh", *right, right=right)
    for score in scores:
        _row(table, score.mesh, score.right, score.count, score.steps, score.seconds)
    if len(scores) > 1:
        count = sum(score.count for score in scores)
        steps = sum(score.steps * score.count for score in scores) / max(1, count)
        table.add_section()
        _row(table, "all", sum(s.right for s in scores), count, steps, sum(s.seconds for s in scores))
    return table


def _row(table: Table, name: str, right: int, count: int, steps: float, seconds: float) -> None:
    style = None if right == count else "bold red"
    words = f"{right:,} of {count:,}", percent(right, count), f"{steps:,.0f}", duration(seconds)
    table.add_row(name, *words, style=style)


def mesh_document(score: MeshScore) -> dict[str, Any]:
    return {**asdict(score), "accuracy": score.right / score.count, "seconds": round(score.seconds, 3)}
