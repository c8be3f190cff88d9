"""Drawings of a path, whatever it is: a folder or zip of pictures, Omniglot's official runs, or a packed file."""

from __future__ import annotations

from pathlib import Path

from envs.images.drawings import Drawings
from envs.images.folders import tree_drawings
from envs.images.official_runs import one_shot_runs, run_labels, runs_as_drawings
from envs.images.packed import packed
from envs.images.resizing import check_size
from envs.images.trees import FolderTree, Tree, ZipTree, open_zip


def open_source(path: Path | str, size: int = 32) -> Drawings:
    """The drawings of a folder, zip or packed file, at ``size`` x ``size`` pixels.

    Raises:
        ValueError: for anything else, and for files in it that cannot be read; it names the file and the reason.
        OSError: where there is no such path, or it cannot be read.
    """
    check_size(size)
    path = Path(path)
    if path.is_dir():
        tree: Tree = FolderTree(path)
    else:
        archive = open_zip(path)
        names = archive.namelist()
        if names and all(name.endswith(".npy") for name in names):
            return packed(path, size)
        tree = ZipTree(path, archive)
    if run_labels(tree):
        return runs_as_drawings(one_shot_runs(path, size))
    return tree_drawings(tree, size)
