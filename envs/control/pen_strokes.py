"""Drawings as strokes of a pen: people's, from files in Omniglot's published layout, and others from a seed.

A file of strokes has a line ``START``, then a line ``x,y,t`` for each point (y upwards, t in milliseconds), and a line
``BREAK`` behind each stroke. Files lie in ``alphabet/character/drawing.txt``, in a folder or a zip; a name that ends in
``_DD`` tells the drawer. Data: Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept learning through
probabilistic program induction".

Shape legend: ``N`` drawings, ``M`` points of a stroke, ``G`` alphabets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from envs.images.alphabets import StrokesConfig
from envs.images.bindings import GENERATED, bound
from envs.images.strokes import trajectories
from envs.images.trees import Tree, open_tree
from envs.settings import closest
from envs.support.user_files import read_file

Strokes = tuple[np.ndarray, ...]
"""Of a drawing: float64 M × 2 each, y upwards, in any unit."""

START, BREAK, SUFFIX = "START", "BREAK", ".txt"

FILE_BYTES, MAX_POINTS, MAX_FILES, LARGEST = 1 << 20, 20_000, 100_000, 1e6
"""Of a file, of all strokes in it, of a data set, and of a number."""

MAX_STROKES = 8
"""Drawings of more strokes are left out."""

DRAWER = re.compile(r".*_(\d{1,4})")

CHARACTERS, DRAWERS = 20, 10
"""Of a generated alphabet, and of each of its characters."""

SPLITS = ("train", "validation", "test")

HELD_OUT_ALPHABETS, HELD_OUT_DRAWERS = 1 / 5, 0.15
"""The share of alphabets, and of drawers, in each of the splits ``validation`` and ``test``."""


@dataclass(frozen=True, eq=False)
class PenDrawings:
    """Drawings of characters.

    Attributes:
        strokes: of each drawing. names: of its file, or what it is.
        group_N, character_N, drawer_N: int64, the alphabet, the character (of all alphabets) and the drawer of each.
        group_names: G.
        left_out: how many drawings have more than :data:`MAX_STROKES` strokes.
    """

    strokes: tuple[Strokes, ...]
    names: tuple[str, ...]
    group_N: np.ndarray
    character_N: np.ndarray
    drawer_N: np.ndarray
    group_names: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.strokes)


def pen_drawings(name: str, alphabets: int) -> PenDrawings:
    """The drawings of a data set by its name; of the generated one, so many alphabets.

    Raises ``ValueError`` for a name that nothing is bound to, and for files of another form.
    """
    if name == GENERATED:
        return generated(alphabets)
    paths = bound()
    if name not in paths:
        hint = closest(name, sorted(paths)) if paths else ""
        raise ValueError(
            f"the data {name} are bound to no strokes{hint}; say where they lie: --data {name}=FOLDER "
            "(docs/imitation.md)"
        )
    return opened(paths[name])


@lru_cache(maxsize=2)
def generated(alphabets: int) -> PenDrawings:
    """Alphabets that nobody has seen, from a seed; the same as the pictures of ``images`` are drawn by."""
    found: list[tuple[Strokes, str, int, int, int]] = []
    for group, (point_BKM, segments_BK) in enumerate(
        trajectories(alphabets=alphabets, characters=CHARACTERS, drawers=DRAWERS, config=StrokesConfig())
    ):
        for number, (point_KM, segments_K) in enumerate(zip(point_BKM, segments_BK, strict=True)):
            paths = tuple(
                np.stack([point_M.real, -point_M.imag], 1)[: count + 1]
                for point_M, count in zip(point_KM, segments_K.tolist(), strict=True)
                if count
            )
            character, drawer = divmod(number, DRAWERS)
            name = f"alphabet{group + 1:03}/character{character + 1:02}/drawer{drawer + 1:02}"
            found.append((paths, name, group, group * CHARACTERS + character, drawer))
    return _gathered(found, tuple(f"alphabet{group + 1:03}" for group in range(alphabets)))


@lru_cache(maxsize=2)
def opened(path: str) -> PenDrawings:
    """The drawings of a folder or zip, or of one file.

    Raises:
        ValueError: for files of another form; it names the file and the line. OSError: where there is none.
    """
    if Path(path).suffix.lower() == SUFFIX and not Path(path).is_dir():
        strokes = parsed(read_file(path, FILE_BYTES), path)
        return _gathered([(strokes, path, 0, 0, 0)], ("drawings",))
    tree = open_tree(Path(path))
    names = [name for name in tree.names if PurePosixPath(name).suffix.lower() == SUFFIX]
    if not 1 <= len(names) <= MAX_FILES:
        raise ValueError(
            f"{path}: {len(names):,} files of strokes ({SUFFIX}); expected 1 to {MAX_FILES:,}, as "
            "alphabet/character/drawing.txt"
        )
    homes = [("", *PurePosixPath(name).parts)[-3:-1] for name in names]
    characters, groups = sorted(set(homes)), sorted({home[0] for home in homes})
    found = [
        (strokes, tree.full(name), groups.index(home[0]), characters.index(home), _drawer(name, number))
        for number, (name, home, strokes) in enumerate(zip(names, homes, _read(tree, names), strict=True))
    ]
    return _gathered(found, tuple(groups))


def _read(tree: Tree, names: Sequence[str]) -> Iterator[Strokes]:
    for name in names:
        yield parsed(tree.read(name, FILE_BYTES), tree.full(name))


def _drawer(name: str, number: int) -> int:
    """By the end of its name; where that does not tell, each drawing has a drawer of its own."""
    match = DRAWER.fullmatch(PurePosixPath(name).stem)
    return int(match[1]) if match else 10_000 + number


def _gathered(found: Sequence[tuple[Strokes, str, int, int, int]], group_names: tuple[str, ...]) -> PenDrawings:
    kept = [one for one in found if len(one[0]) <= MAX_STROKES]
    if not kept:
        raise ValueError(f"{found[0][1]}: more than {MAX_STROKES} strokes, as all drawings; give simpler ones")
    group_N, character_N, drawer_N = np.array([one[2:] for one in kept], np.int64).T
    strokes, names = tuple(one[0] for one in kept), tuple(one[1] for one in kept)
    return PenDrawings(strokes, names, group_N, character_N, drawer_N, group_names, len(found) - len(kept))


def parsed(content: bytes, name: str) -> Strokes:
    """The strokes that a file holds; ``ValueError`` names it and the line that is wrong."""
    try:
        lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: no text; expected {START}, lines x,y,t, and {BREAK} behind each stroke") from None
    strokes, stroke = list[np.ndarray](), list[tuple[float, float]]()
    started = False
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        if not started:
            if line != START:
                raise ValueError(f"{name}, line {number}: {line[:40]!r}; a file of strokes begins with {START}")
            started = True
        elif line == BREAK:
            if not stroke:
                raise ValueError(f"{name}, line {number}: {BREAK} behind no point; leave it out")
            strokes.append(np.array(stroke))
            stroke = []
        else:
            stroke.append(_point(line, f"{name}, line {number}"))
    if stroke:
        raise ValueError(f"{name}: its last stroke has no end; write {BREAK} behind it")
    points = sum(map(len, strokes))
    if not 2 <= points <= MAX_POINTS:
        raise ValueError(f"{name}: {points:,} points; expected 2 to {MAX_POINTS:,}")
    if not float(np.ptp(np.concatenate(strokes), axis=0).max()) > 0:
        raise ValueError(f"{name}: all points are at one place; a drawing has an extent")
    return tuple(strokes)


def _point(line: str, where: str) -> tuple[float, float]:
    try:
        x, y, time = map(float, line.split(","))
    except ValueError:
        raise ValueError(f"{where}: {line[:40]!r}; expected three numbers x,y,t, or {BREAK}") from None
    if not all(math.isfinite(value) and abs(value) <= LARGEST for value in (x, y)) or not math.isfinite(time):
        raise ValueError(f"{where}: {line[:40]!r}; numbers are finite, places at most {LARGEST:,.0f} away")
    return x, y


def split_numbers(drawings: PenDrawings, seed: int) -> dict[str, np.ndarray]:
    """int64 numbers of the drawings of each split, which have neither an alphabet nor a drawer in common.

    Where there are fewer than three alphabets, alphabets are no part of it; likewise drawers; with neither, all splits
    are all drawings.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for number_N, share in ((drawings.group_N, HELD_OUT_ALPHABETS), (drawings.drawer_N, HELD_OUT_DRAWERS)):
        known = rng.permutation(np.unique(number_N))
        held = max(1, round(share * len(known))) if len(known) >= 3 else 0
        chosen = {"test": known[:held], "validation": known[held : 2 * held], "train": known[2 * held :]}
        parts.append({split: np.isin(number_N, chosen[split] if held else known) for split in SPLITS})
    found = {split: np.flatnonzero(parts[0][split] & parts[1][split]) for split in SPLITS}
    everything = np.arange(len(drawings))
    return {split: found[split] if len(found[split]) else everything for split in SPLITS}


def split_alphabets(drawings: PenDrawings, seed: int) -> dict[str, list[str]]:
    """The names of the alphabets of each split."""
    return {
        split: [drawings.group_names[group] for group in np.unique(drawings.group_N[number_N])]
        for split, number_N in split_numbers(drawings, seed).items()
    }
