"""Omniglot's official one-shot runs: twenty pictures to learn from, twenty to name, and the right answers, run by run.

The layout is the published one: ``runNN/training/classNN.png``, ``runNN/test/itemNN.png``, and
``runNN/class_labels.txt``, whose lines name a test picture and the training picture of its class. Data: Lake,
Salakhutdinov and Tenenbaum 2015.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from envs.images.drawings import UNKNOWN_DRAWER, Drawings
from envs.images.folders import read_from
from envs.images.picture_files import settled
from envs.images.resizing import check_size
from envs.images.trees import Tree, open_tree

LABELS = "class_labels.txt"
LABEL_BYTES = 1 << 20
RUN = re.compile(r"run\d+")


@dataclass(frozen=True, eq=False)
class OneShotRun:
    """One run.

    Attributes:
        name: of its folder.
        training_CSS: uint8, a picture of each class, ink bright.
        test_QSS: uint8, the pictures to name, in the order of their file names.
        answer_Q: int64, the place in ``training_CSS`` of the class of each.
        class_names: C names of files, without their endings.
    """

    name: str
    training_CSS: np.ndarray
    test_QSS: np.ndarray
    answer_Q: np.ndarray
    class_names: tuple[str, ...]


def one_shot_runs(path: Path | str, size: int = 32) -> tuple[OneShotRun, ...]:
    """The runs of a folder or zip, in the order of their names, at ``size`` x ``size`` pixels.

    Raises:
        ValueError: where there is none, for labels that do not fit the files, and for a picture that cannot be read; it
            names the file.
        OSError: where one cannot be read.
    """
    check_size(size)
    tree = open_tree(Path(path))
    labels = run_labels(tree)
    if not labels:
        raise ValueError(f"{path}: no runs; expected runNN/{LABELS} in it")
    return tuple(_run(tree, label, size) for label in labels)


def run_labels(tree: Tree) -> list[str]:
    """The names of the files of labels of one-shot runs, sorted."""
    places = [PurePosixPath(name) for name in tree.names]
    return [str(place) for place in places if place.name == LABELS and RUN.fullmatch(place.parent.name)]


def runs_as_drawings(runs: tuple[OneShotRun, ...]) -> Drawings:
    """Runs as groups: of each class its training picture first, then its test pictures."""
    pictures: list[np.ndarray] = []
    class_N: list[int] = []
    group_C: list[int] = []
    names: list[str] = []
    for number, run in enumerate(runs):
        for place, name in enumerate(run.class_names):
            members = [run.training_CSS[place], *run.test_QSS[run.answer_Q == place]]
            class_N += [len(names)] * len(members)
            pictures += members
            names.append(name)
            group_C.append(number)
    numbers = np.array(class_N, np.int64)
    return Drawings(
        np.stack(pictures),
        numbers,
        np.full_like(numbers, UNKNOWN_DRAWER),
        np.array(group_C, np.int64),
        tuple(names),
        tuple(run.name for run in runs),
    )


def _run(tree: Tree, label: str, size: int) -> OneShotRun:
    home = PurePosixPath(label).parent
    pairs = _pairs(tree, label, home)
    training = sorted({wanted for _, wanted in pairs.values()} | _pictures(tree, home / "training"))
    tests = sorted(pairs)
    for name in sorted(_pictures(tree, home / "test") - pairs.keys()):
        raise ValueError(
            f"{tree.full(name)}: {tree.full(label)} has no line for it; expected one for each test picture"
        )
    picture_NSS = settled([[read_from(tree, name, size) for name in training + tests]])
    return OneShotRun(
        home.name,
        picture_NSS[: len(training)],
        picture_NSS[len(training) :],
        np.array([training.index(pairs[name][1]) for name in tests], np.int64),
        tuple(PurePosixPath(name).stem for name in training),
    )


def _pictures(tree: Tree, folder: PurePosixPath) -> set[str]:
    return {name for name in tree.names if PurePosixPath(name).parent == folder and name.endswith(".png")}


def _pairs(tree: Tree, label: str, home: PurePosixPath) -> dict[str, tuple[int, str]]:
    """By test picture: the line that names it, and the training picture of its class."""
    text = tree.read(label, LABEL_BYTES).decode("utf-8", errors="replace")
    there = set(tree.names)
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not (words := line.split()):
            continue
        where = f"{tree.full(label)}, line {number}"
        if len(words) != 2:
            raise ValueError(f"{where}: {len(words)} names; expected a test picture and a training picture")
        test, training = (_named(word, home) for word in words)
        for name in (test, training):
            if name not in there:
                raise ValueError(f"{where}: there is no {tree.full(name)}; expected a picture of the run")
        if test in found:
            raise ValueError(f"{where}: {test} is in line {found[test][0]}, too; expected one answer for each")
        found[test] = number, training
    if not found:
        raise ValueError(f"{tree.full(label)}: no lines; expected a test picture and a training picture in each")
    return found


def _named(word: str, home: PurePosixPath) -> str:
    """The file that a line names, from the folder of the runs or from that of the run."""
    place = PurePosixPath(word)
    return str(home.parent / place if place.parts[:1] == (home.name,) else home / place)
