"""Pictures in folders: ``group/class/picture`` or ``class/picture``, on the disk or in a zip.

Omniglot's published layout is one of them, ``ALPHABET/characterNN/NNNN_DD.png``; its file names tell the drawer. Data:
Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept learning through probabilistic program induction".
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np

from envs.images.drawings import UNKNOWN_DRAWER, Drawings
from envs.images.picture_files import FILE_BYTES, FORMATS, Reading, read_picture, settled
from envs.images.resizing import check_size
from envs.images.trees import Tree, open_tree
from envs.support.user_files import real_path

PUBLISHED_NAME = re.compile(r"\d{4}_(\d{2})\.png")
"""Of a picture of Omniglot: its character and its drawer, from 1."""


def folders(path: Path | str, size: int = 32) -> Drawings:
    """The pictures of a folder or zip, at ``size`` x ``size`` pixels.

    Folders in it are groups and those in them classes; where they hold pictures themselves they are classes of one
    group, which has the folder's name. A folder around all is passed over. Files that do not end as pictures do, and
    hidden ones, are left out. Drawers are known where all files are named as Omniglot's.

    Raises:
        ValueError: for files elsewhere, a picture that is broken or has no ink, or none at all; it names the file.
        OSError: where one cannot be read.
    """
    check_size(size)
    return tree_drawings(open_tree(Path(path)), size)


def tree_drawings(tree: Tree, size: int) -> Drawings:
    """The pictures of a tree, as :func:`folders` reads them."""
    names = picture_names(tree)
    classes = {key: list(members) for key, members in groupby(names, key=lambda name: _home(tree, name))}
    groups = sorted({group for group, _ in classes})
    picture_NSS = settled([[read_from(tree, name, size) for name in members] for members in classes.values()])
    return Drawings(
        picture_NSS,
        np.repeat(np.arange(len(classes)), [len(members) for members in classes.values()]),
        _drawers(names),
        np.array([groups.index(group) for group, _ in classes], np.int64),
        tuple(name for _, name in classes),
        tuple(groups),
    )


def read_from(tree: Tree, name: str, size: int) -> Reading:
    """A picture of a tree; raises ``ValueError`` that names its file."""
    return read_picture(tree.full(name), tree.read(name, FILE_BYTES), size)


def picture_names(tree: Tree) -> list[str]:
    """The names of pictures, sorted, each two or three deep without the folders around all.

    Raises:
        ValueError: where there is none, or one that is elsewhere.
    """
    names = [name for name in tree.names if PurePosixPath(name).suffix.lower() in FORMATS]
    if not names:
        raise ValueError(f"{tree.path}: no pictures ({', '.join(FORMATS)}) under it; expected group/class/picture")
    parts = [PurePosixPath(name).parts for name in names]
    around = 0
    while min(map(len, parts)) > around + 3 and len({part[around] for part in parts}) == 1:
        around += 1
    depth = len(parts[0]) - around
    for name, part in zip(names, parts, strict=True):
        if len(part) != len(parts[0]) or depth not in (2, 3):
            raise ValueError(
                f"{tree.full(name)}: it is not where the others are, or not in class/picture or group/class/picture; "
                f"put all pictures as deep as {tree.full(names[0])}, in a folder for each class"
            )
    return names


def _home(tree: Tree, name: str) -> tuple[str, str]:
    """The group and the class of a picture."""
    outer = real_path(tree.path).name.removesuffix(".zip")
    *_, group, kind, _ = (outer, *PurePosixPath(name).parts)
    return group, kind


def _drawers(names: list[str]) -> np.ndarray:
    matches = [PUBLISHED_NAME.fullmatch(PurePosixPath(name).name) for name in names]
    drawers = [int(match[1]) - 1 for match in matches if match is not None]
    known = len(drawers) == len(names) and min(drawers) >= 0
    return np.array(drawers if known else [UNKNOWN_DRAWER] * len(names), np.int64)
