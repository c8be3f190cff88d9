"""The example programs, and the cards of trained cores, that come with the engine: from a wheel or from a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envs.support.atomic_files import write_whole
from envs.support.user_files import has_content

PACKAGE = Path(__file__).parents[1]
CARD = "CARD.md"
"""The file beside a trained core that says what it is, how it was trained, and what it reaches."""


def examples() -> Path:
    """The folder of example programs (``addition.npi`` and others); ``ValueError`` where the installation lacks it."""
    for folder in (PACKAGE / "programs", PACKAGE.parent / "programs"):
        if (folder / "addition.npi").is_file():
            return folder
    raise ValueError(f"{PACKAGE} has no example programs; install npi-engine again")


def example_files(folder: Path | None, names: Sequence[str]) -> list[Path]:
    """Program files by name, of the examples where no folder is given; ``ValueError`` for one that is not there."""
    paths = [(folder or examples()) / name for name in names]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"there is no {path}; leave --programs out, or give a folder that has {', '.join(names)}")
    return paths


def cards() -> dict[Path, str]:
    """The libraries of trained cores that come with the engine, each with the text of its card."""
    found = sorted(path for layer in ("npi", "meta") for path in PACKAGE.parent.glob(f"{layer}/*/shipped/**/{CARD}"))
    return {path.parent: path.read_text(encoding="utf-8") for path in found}


def shipped() -> dict[str, Path]:
    """The libraries of :func:`cards` by short names: ``black_box``, ``few_shot`` and so on.

    A library is called as the package that it comes with, or as its own folder where that is not ``shipped`` itself.
    """
    return {(one.parent if one.name == "shipped" else one).name: one for one in cards()}


def copy_examples(to: Path) -> list[Path]:
    """Copy the example programs into a folder and give their paths there; what is there already stays.

    Raises ``ValueError``, before anything is written, for a file there that is another one.
    """
    source = examples()
    texts = {to / path.relative_to(source): path.read_bytes() for path in sorted(source.rglob("*.npi"))}
    for path, text in texts.items():
        if path.exists() and not has_content(path, text):
            raise ValueError(f"{path} is there and is not the example; copy to another folder")
    for path, text in texts.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text)
    return list(texts)
