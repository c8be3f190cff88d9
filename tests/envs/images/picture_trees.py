"""Trees of pictures in the published layouts, made from arrays."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

pillow = pytest.importorskip("PIL.Image")


def drawing(seed: int, side: int = 21) -> np.ndarray:
    """bool: a few lines that do not touch the border; there is less ink than paper."""
    rng = np.random.default_rng(seed)
    ink_SS = np.zeros((side, side), bool)
    for _ in range(3):
        row, column = rng.integers(2, side - 2, 2)
        ink_SS[row, 2 : 2 + rng.integers(4, side - 3)] = True
        ink_SS[2 : 2 + rng.integers(4, side - 3), column] = True
    return ink_SS


def png(ink_SS: np.ndarray, *, kind: str = "PNG", light_ink: bool = False) -> bytes:
    """A file of one bit a pixel, black ink on white paper as published."""
    file = io.BytesIO()
    pillow.fromarray(np.where(ink_SS ^ light_ink, 0, 255).astype(np.uint8)).convert("1").save(file, kind)
    return file.getvalue()


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Files by their names under a folder."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """The same in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def published(alphabets: dict[str, int], drawers: int) -> tuple[dict[str, bytes], np.ndarray]:
    """Omniglot's layout: so many characters of each alphabet; and the drawings, in the order of the names."""
    files, drawings, number = {}, [], 0
    for alphabet, characters in sorted(alphabets.items()):
        for character in range(1, characters + 1):
            number += 1
            for drawer in range(1, drawers + 1):
                drawings.append(drawing(1000 * number + drawer))
                files[f"{alphabet}/character{character:02}/{number:04}_{drawer:02}.png"] = png(drawings[-1])
    return files, np.stack(drawings)


def official_runs(count: int, ways: int = 5) -> tuple[dict[str, bytes], list[list[int]]]:
    """The layout of one-shot runs, and the right answers of each."""
    files, answers = {}, []
    for run in range(1, count + 1):
        name = f"run{run:02}"
        right = np.random.default_rng(run).permutation(ways)
        lines = []
        for place, answer in enumerate(right):
            files[f"{name}/training/class{place + 1:02}.png"] = png(drawing(100 * run + place))
            files[f"{name}/test/item{place + 1:02}.png"] = png(drawing(100 * run + 50 + place))
            lines.append(f"{name}/test/item{place + 1:02}.png {name}/training/class{answer + 1:02}.png")
        files[f"{name}/class_labels.txt"] = "\n".join(lines).encode()
        answers.append(right.tolist())
    return files, answers
