"""Libraries on disk: manifest, rows, program files, row files, and operations between libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from npi.library.collection import Collection, combined
    from npi.library.index import difference, listing
    from npi.library.library import Library, LibraryError
    from npi.library.operations import add, merge, pack, remove
    from npi.library.row_file import RowFile

__all__ = [
    "Collection",
    "Library",
    "LibraryError",
    "RowFile",
    "add",
    "combined",
    "difference",
    "listing",
    "merge",
    "pack",
    "remove",
]

__getattr__, __dir__ = lazy(__name__)
