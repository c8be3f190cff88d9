"""Numbers, sizes and names as commands write and read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npi.training.learn_rows import RowResult


LARGEST_SIZE, MAX_NUMBERS = 1_000_000, 10_000
"""The largest size of an input (as in a task's own sizes), and how many numbers one option may list."""


def parse_sizes(text: str) -> tuple[int, ...]:
    """``1..20``, ``1,5,10`` or both, ``1..5,10``; raises ``ValueError`` for anything else, and for sizes below 1."""
    return parse_numbers(text, "--sizes", least=1, most=LARGEST_SIZE)


def parse_numbers(text: str, option: str, *, least: int, most: int = 2**63 - 1) -> tuple[int, ...]:
    """Numbers and ranges as in :func:`parse_sizes`, from ``least`` to ``most``; the error names the option."""
    what = option.strip("-").removesuffix("s")
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        low, dots, high = part.partition("..")
        if not (low.isdecimal() and (high.isdecimal() if dots else True)) or len(part) > 60:
            raise ValueError(
                f"{option} {text[:60]!r}: {part[:60]!r} is no {what}; write for example 5, or 1..20, or 1..5,10,20"
            )
        first, last = int(low), int(high) if dots else int(low)
        if first < least or last < first:
            raise ValueError(f"{option} {text!r}: {part!r} is empty or begins below {least}; write for example 1..20")
        if last > most or len(found) + last - first >= MAX_NUMBERS:
            raise ValueError(
                f"{option} {text[:60]!r}: they go up to {most:,}, and at most {MAX_NUMBERS:,} are possible; "
                "list a few, as in 1,10,100"
            )
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def show_sizes(sizes: Sequence[int]) -> str:
    """The inverse of :func:`parse_sizes` for people: ``1..20``, ``1, 10, 100``."""
    parts: list[list[int]] = []
    for size in sizes:
        if parts and size == parts[-1][-1] + 1:
            parts[-1].append(size)
        else:
            parts.append([size])
    return ", ".join(f"{p[0]}..{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)


def duration(seconds: float) -> str:
    """``40 ms``, ``1.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """For each qualified name the bare one, where no other has it."""
    bare = {name: name.rpartition(".")[2] for name in names}
    several = {word for word in bare.values() if list(bare.values()).count(word) > 1}
    return {name: name if word in several else word for name, word in bare.items()}


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 trace``, ``1,200 traces``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def file_size(size: int) -> str:
    """``812 B``, ``3.1 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def percent(right: int, count: int) -> str:
    """``100 %`` only where all are right; otherwise with as many digits as it takes to see that it is less."""
    if right == count:
        return "100 %"
    return f"{min(99.99, 100 * right / count):.2f} %"


def unchanged_lines(found: RowResult) -> Iterator[str]:
    """Digests of what learning must not change, before and after."""
    for label, before, after in zip(("core", "old rows", "old outputs"), found.before, found.after, strict=True):
        same = "bit-identical" if before == after else "CHANGED"
        yield f"{label:<12}{before[:16]} before, {after[:16]} after: {same}"


def digests(found: RowResult) -> dict[str, Any]:
    """The same for programs."""
    pairs = {"before": found.before, "after": found.after}
    parts = {f"{name}_{when}": part for when, held in pairs.items() for name, part in held._asdict().items()}
    return parts | {"unchanged": found.unchanged}


def elide(heights: Sequence[int], limit: int) -> tuple[int, int]:
    """How many blocks to print from the beginning and from the end, so that they take about ``limit`` lines.

    Args:
        heights: lines of each block. limit: 0 keeps all.
    """
    count = len(heights)
    if not limit or sum(heights) <= limit:
        return count, 0
    head = _fitting(heights, limit * 2 // 3)
    return head, min(count - head, _fitting(heights[::-1], limit - limit * 2 // 3))


def _fitting(heights: Sequence[int], lines: int) -> int:
    """How many blocks fit into the lines; one at least."""
    for count, height in enumerate(heights):
        lines -= height
        if lines < 0:
            return max(1, count)
    return len(heights)
