"""What a file was written with."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

SOURCES = "from its sources"
"""In place of the version of a package that is not installed."""


@cache
def version_of(package: str) -> str:
    """As it is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return SOURCES


def versions() -> dict[str, str]:
    """Of the engine and of what its numbers depend on, for manifests."""
    return {package: version_of(package) for package in ("npi-engine", "torch")}
