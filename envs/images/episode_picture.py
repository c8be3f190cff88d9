"""An episode as a picture: each class with its support set, the pictures of it that were named, and which answers are
wrong. A PNG, or a page with the same in a table.

Shape legend: ``S`` pixels of a side.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.images.picture_files import need_pillow

if TYPE_CHECKING:
    from envs.images.world import Images, ImagesState

CELL, FRAME, GAP, NAMES = 52, 3, 4, 130
"""Pixels of the sheet: side of a picture, its frame, between cells, and of the column with the names of classes."""

LETTERS = 12
"""Height of letters."""

MAX_NAME = 16
"""Characters of a class's name on the sheet; the page has all of it."""

RIGHT, WRONG, EXAMPLE, INK = (46, 125, 50), (198, 40, 40), (160, 160, 160), (20, 20, 20)
"""Colours: frames of right and wrong answers and of examples; text."""

ENDINGS = (".png", ".html")


@dataclass(frozen=True)
class Answer:
    """A picture that was named: uint8 S x S, ink is bright; said: the place of the class, -1 for none."""

    picture_SS: np.ndarray
    said: int


@dataclass(frozen=True)
class ClassShown:
    """A class of an episode: its name, its support set (uint8 S x S, ink is bright), and its pictures to be named."""

    name: str
    support: Sequence[np.ndarray]
    answers: Sequence[Answer]


def shown_episode(world: Images, state: ImagesState, instance: int = 0) -> list[ClassShown]:
    """What an instance showed, and what was said of it, by class in the order of the labels."""
    drawings, shots = world.drawings, world.config.shots
    support = state.support_BL[instance, : int(state.length_B[instance])].tolist()
    queries = [row[instance, : int(state.count_B[instance])].tolist() for row in
               (state.query_BQ, state.label_BQ, state.said_BQ)]  # fmt: skip
    examples = {place // max(1, shots) + 1: drawing for place, drawing in enumerate(support)}
    number_of = examples | {label: drawing for drawing, label, _ in zip(*queries, strict=True)}
    found = []
    for label in range(1, 1 + max(number_of)):
        known = label in number_of
        found.append(
            ClassShown(
                _printable(drawings.full_name(int(drawings.class_N[number_of[label]]))) if known else "",
                [drawings.picture_NSS[d] for d in support[(label - 1) * shots : label * shots]],
                [
                    Answer(drawings.picture_NSS[d], said - 1)
                    for d, own, said in zip(*queries, strict=True)
                    if own == label
                ],
            )
        )
    return found


def summary(episode: Sequence[ClassShown]) -> str:
    """``17 of 20 right``."""
    said = [answer.said == place for place, one in enumerate(episode) for answer in one.answers]
    return f"{sum(said)} of {len(said)} right"


def write_episode(path: Path, title: str, episode: Sequence[ClassShown]) -> bytes:
    """The content of a file of this name; raises ``ValueError`` where it ends in none of :data:`ENDINGS`, or without
    Pillow."""
    check_ending(path)
    need_pillow()
    if path.suffix.lower() == ".html":
        return as_page(title, episode).encode()
    return as_png(title, episode)


def check_ending(path: Path) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: episodes are pictures or pages; name a file that ends in {' or '.join(ENDINGS)}")


def as_png(title: str, episode: Sequence[ClassShown]) -> bytes:
    """One row a class: its number and name, its support set, a line, and what was to be named: framed green where it
    was named right, and red with the number that was said where it was not."""
    pillow, drawing, fonts = (need_pillow(name) for name in ("Image", "ImageDraw", "ImageFont"))
    step = CELL + 2 * FRAME + GAP
    shots, asked = (max(len(part) for part in parts) for parts in
                    ([one.support for one in episode], [one.answers for one in episode]))  # fmt: skip
    head, left = 2 * LETTERS + 4 * GAP, NAMES + shots * step
    font, group = fonts.load_default(LETTERS), _common_group(episode)
    first, told = f"{title}{', ' * bool(group)}{group}: {summary(episode)}", "named; red: wrong, and as what"
    widths = (left + asked * step, left + font.getlength(told), font.getlength(first))
    width, height = int(max(widths)) + 6 * GAP, head + len(episode) * step + GAP
    sheet = pillow.new("RGB", (width, height), "white")
    pen = drawing.Draw(sheet)
    pen.text((GAP, GAP), first, INK, font)
    pen.text((GAP, 2 * GAP + LETTERS), "class", INK, font)
    pen.text((NAMES, 2 * GAP + LETTERS), "examples" if shots else "", INK, font)
    pen.text((left + 4 * GAP, 2 * GAP + LETTERS), told, INK, font)
    pen.line((left + GAP, head, left + GAP, height - GAP), EXAMPLE)
    for place, one in enumerate(episode):
        y = head + place * step
        pen.text(
            (GAP, y + CELL // 2 - LETTERS // 2), f"{place + 1}  {_short(one.name.removeprefix(f'{group}/'))}", INK, font
        )
        for column, picture_SS in enumerate(one.support):
            _paste(pillow, pen, sheet, (NAMES + column * step, y), picture_SS, EXAMPLE)
        for column, answer in enumerate(one.answers):
            at = (left + 4 * GAP + column * step, y)
            right = answer.said == place
            _paste(pillow, pen, sheet, at, answer.picture_SS, RIGHT if right else WRONG)
            if not right:
                said = str(answer.said + 1) if answer.said >= 0 else "-"
                pen.rectangle((*at, at[0] + 5 + 8 * len(said), at[1] + LETTERS + 3), WRONG)
                pen.text((at[0] + 3, at[1] + 1), said, "white", font)
    return _png(sheet)


def as_page(title: str, episode: Sequence[ClassShown]) -> str:
    """A page of HTML, alone in its file."""
    rows = []
    for place, one in enumerate(episode):
        support = "".join(_image(picture_SS, f"an example of {one.name}", EXAMPLE) for picture_SS in one.support)
        named = []
        for answer in one.answers:
            said = episode[answer.said].name if 0 <= answer.said < len(episode) else "nothing"
            right = answer.said == place
            told = f"named right: {said}" if right else f"{one.name}, named wrong: {answer.said + 1} {said}"
            mark = "" if right else f"<figcaption>{answer.said + 1}</figcaption>"
            image = _image(answer.picture_SS, told, RIGHT if right else WRONG)
            named.append(f"<figure>{image}{mark}</figure>")
        rows.append(
            f'<tr><th scope="row">{place + 1} {escape(one.name)}</th><td>{support}</td><td>{"".join(named)}</td></tr>'
        )
    head = escape(f"{title}: {summary(episode)}")
    colour = _css(WRONG)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{head}</title>\n<style>'
        "body{font-family:sans-serif;background:#fff;color:#141414}th{text-align:left;font-weight:normal}"
        "figure{display:inline-block;margin:2px;position:relative}"
        f"figcaption{{position:absolute;top:0;left:0;background:{colour};color:#fff;font-size:12px;padding:0 3px}}"
        f"</style></head>\n<body><h1>{head}</h1>\n<table>\n<tr><th>class</th><th>examples</th><th>named (red: wrong, "
        "with the number that was said)</th></tr>\n" + "\n".join(rows) + "\n</table></body></html>\n"
    )


def _common_group(episode: Sequence[ClassShown]) -> str:
    """The group of all classes; empty where they have several."""
    groups = {one.name.rpartition("/")[0] for one in episode if one.name}
    return groups.pop() if len(groups) == 1 else ""


def _printable(name: str) -> str:
    """A name of a folder without what does not print, such as control characters and bytes that are no text."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def _paper(pillow: Any, picture_SS: np.ndarray) -> Any:
    """Dark ink on white paper, at the size of a cell."""
    return pillow.fromarray(255 - picture_SS).resize((CELL, CELL), pillow.Resampling.BILINEAR)


def _paste(
    pillow: Any, pen: Any, sheet: Any, at: tuple[int, int], picture_SS: np.ndarray, colour: tuple[int, int, int]
) -> None:
    x, y = at
    pen.rectangle((x, y, x + CELL + 2 * FRAME - 1, y + CELL + 2 * FRAME - 1), colour)
    sheet.paste(_paper(pillow, picture_SS), (x + FRAME, y + FRAME))


def _image(picture_SS: np.ndarray, told: str, colour: tuple[int, int, int]) -> str:
    data = base64.b64encode(_png(_paper(need_pillow(), picture_SS))).decode()
    words = escape(told, quote=True)
    border = f"border:{FRAME}px solid {_css(colour)}"
    return f'<img src="data:image/png;base64,{data}" width="{CELL}" alt="{words}" title="{words}" style="{border}">'


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _css(colour: tuple[int, int, int]) -> str:
    return "#" + bytes(colour).hex()
