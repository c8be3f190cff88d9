"""Parts of zips of users, unpacked to no more than they tell."""

from __future__ import annotations

import zipfile

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How parts may be packed: the readers of other methods unpack all at once, however much it is."""


def read_part(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a part, of whose size the caller has made sure.

    Raises ``ValueError`` for another packing, and whatever the reader raises for damaged and encrypted ones.
    """
    if info.compress_type not in METHODS:
        raise ValueError(f"{info.filename} is packed by the method {info.compress_type}; store it or deflate it")
    with archive.open(info) as part:
        return part.read(info.file_size + 1)  # without a number it would unpack far more at once, and then cut it
