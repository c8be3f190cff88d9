"""What an editor asks about a place in a text: hover, definition, references, rename, outline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dsl import loads
from dsl.errors.error import LanguageError, Source
from dsl.errors.examples import KEYWORDS, RESERVED
from dsl.names.worlds import build_world, describe_symbols, join_worlds
from dsl.text import syntax as s
from dsl.text.parse import parse
from envs.spec import WorldSpec
from npi.lsp import names as n
from npi.lsp import vocabulary
from npi.lsp.names import Declared, Span, Used
from npi.lsp.project import Project, Target, used_path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DOC = re.compile(r'\s*"(?:\\.|[^"\\])*"\s*(?=:|$)')
LOCAL = (n.PARAMETER, n.VARIABLE, n.INPUT)
VALUES = (*LOCAL, n.ROW, n.POINTER, n.COUNTER)

Place = tuple[Path, Span]


# --- hover -----------------------------------------------------------------------------------------------------------


def hover(project: Project, path: Path, line: int, column: int) -> tuple[str, Span] | None:
    """Markdown about what stands at a place, and where that stands."""
    found = project.at(path, line, column)
    if found is None:
        return keyword(project.text(path) or "", line, column)
    targets = project.targets(path, found)
    if targets:
        return "\n\n---\n\n".join(about(project, target) for target in targets), found.span
    text = about_word(project, path, found)
    return (text, found.span) if text else None


def about(project: Project, target: Target) -> str:
    """A declaration for people."""
    item = target.declared
    parts = [f"```npi\n{signature(item)}\n```"]
    if item.doc:
        parts.append(item.doc)
    if item.kind == n.PROGRAM:
        parts.append(relations(project, target))
    elif item.kind in (n.POINTER, n.COUNTER, n.ROW):
        parts += shown(project, target)
    parts.append(f"*{item.kind} in {target.path.name}, line {item.span.line + 1}*")
    return "\n\n".join(part for part in parts if part)


def signature(item: Declared) -> str:
    """The declaration without its doc and the colon behind it; of a parameter or input only its own part."""
    if item.kind in (n.PARAMETER, n.INPUT):
        found = re.search(rf"\b{item.name}\s*:[^,()]*", item.text)
        return found[0].strip() if found else item.name
    return DOC.sub("", item.text).removesuffix(":").strip()


def relations(project: Project, target: Target) -> str:
    """Which programs a program calls, and by which programs and tasks it is called."""
    calls = [
        used.name
        for used in project.names(target.path).used
        if used.role == n.CALLABLE and used.part == target.declared.part
    ]
    callers = [used.caller for _, used in project.uses(target)]
    told = [("calls", calls), ("called by", callers)]
    return "; ".join(f"{what} {', '.join(dict.fromkeys(found))}" for what, found in told if found)


def shown(project: Project, target: Target) -> Iterator[str]:
    """What the world shows of a pointer or row."""
    spec = world_spec(project, target.path)
    if spec is not None:
        name = target.declared.name
        inside = re.compile(rf"\b{name}\b")
        for field in spec.fields:
            if inside.search(field.name):
                yield f"shows `{field.name}`: {describe_symbols(field.values)}"


def about_word(project: Project, path: Path, found: Used | Declared) -> str:
    """A word of the language or of the world, in Markdown; nothing for a name that nothing declares."""
    spec = world_spec(project, path)
    for primitive in spec.primitives if spec is not None else ():
        if primitive.name == found.name:
            slots = ", ".join(slot.name for slot in primitive.slots)
            return f"```npi\n{found.name}({slots})\n```\n\n{primitive.doc}\n\n*of world {spec.name if spec else ''}*"
    if isinstance(found, Used) and found.role == n.FUNCTION and found.name in vocabulary.FUNCTIONS:
        form, what = vocabulary.FUNCTIONS[found.name]
        return f"```npi\n{form}\n```\n\n{what}"
    if isinstance(found, Used) and found.role == n.FILE:
        return f"`{used_path(path, found.name)}`"
    return vocabulary.ACTIONS.get(found.name) or vocabulary.DOMAINS.get(found.name) or ""


def keyword(text: str, line: int, column: int) -> tuple[str, Span] | None:
    """About a keyword at a place."""
    lines = text.split("\n")
    row = lines[line] if line < len(lines) else ""
    code = len(row) - len(row.lstrip()) + len(n.strip_comment(row))
    for found in NAME.finditer(row):
        if (
            found.start() <= column <= found.end() <= code
            and found[0] in vocabulary.KEYWORDS
            and not in_quotes(row, column)
        ):
            return vocabulary.KEYWORDS[found[0]], Span(line, found.start(), found.end())
    return None


def in_quotes(row: str, column: int) -> bool:
    return len(re.findall(r'(?<!\\)"', row[:column])) % 2 == 1


def world_spec(project: Project, path: Path) -> WorldSpec | None:
    """What the world of a file declares; None where there is none that can be made."""
    texts = []
    for module in project.modules(path):
        for item in project.names(module).declared:
            if item.kind == n.WORLD:
                lines = (project.text(module) or "").split("\n")
                texts.append("\n".join(lines[item.lines[0] : item.lines[1] + 1]))
    return _spec("\n".join(texts))


@lru_cache(maxsize=64)
def _spec(text: str) -> WorldSpec | None:
    try:
        source, trees = Source("<world>", text), parse(text).of(s.World)
        joined = next((tree for tree in trees if tree.joins), None)
        if joined is None:
            return build_world(trees[0], source).spec if trees else None
        parts = {tree.name: build_world(tree, source) for tree in trees if tree.name in joined.joins}
        return join_worlds(joined, parts, source).spec
    except LanguageError:
        return None  # its mistakes are told where the whole file is checked


# --- definition, references ------------------------------------------------------------------------------------------


def definition(project: Project, path: Path, line: int, column: int) -> list[Place]:
    """Where what stands at a place is declared."""
    found = project.at(path, line, column)
    if found is None:
        return []
    if isinstance(found, Used) and found.role == n.FILE:
        other = used_path(path, found.name)
        return [(other, Span(0, 0, 0))] if project.text(other) is not None else []
    return [(target.path, target.declared.span) for target in project.targets(path, found)]


def references(project: Project, path: Path, line: int, column: int, *, declaration: bool) -> list[Place]:
    """Everywhere that what stands at a place is meant; with its ``declaration`` or without."""
    found = project.at(path, line, column)
    targets = () if found is None else project.targets(path, found)
    places = [(target.path, target.declared.span) for target in targets if declaration]
    places += [(other, used.span) for target in targets for other, used in project.uses(target)]
    return sorted(dict.fromkeys(places))


# --- rename ----------------------------------------------------------------------------------------------------------


def renamable(project: Project, path: Path, line: int, column: int) -> tuple[Target, Span]:
    """What has the name at a place, and that place; raises ``ValueError`` that says why it cannot be renamed."""
    found = project.at(path, line, column)
    if found is None:
        raise ValueError("there is no name here; put the cursor on a name")
    targets = project.targets(path, found)
    if not targets:
        raise ValueError(f"{found.name} is declared in no program file, so it cannot be renamed")
    if len(targets) > 1:
        files = " and ".join(target.path.name for target in targets)
        raise ValueError(f"{found.name} is declared in {files}: put the cursor on one of the declarations")
    return targets[0], found.span


def rename(project: Project, path: Path, line: int, column: int, name: str) -> dict[Path, list[Span]]:
    """The places that get a new name, by file.

    Raises:
        ValueError: for a name that cannot be one or means something already, and for what has no declaration. After a
            rename every other name means what it meant, and a file without mistakes is still without.
    """
    target, span = renamable(project, path, line, column)
    check_name(target, name)
    places = references(project, path, span.line, span.start, declaration=True)
    edits: dict[Path, list[Span]] = {}
    for other, place in places:
        edits.setdefault(other, []).append(place)
    texts = {other: replaced(project.text(other) or "", spans, name) for other, spans in edits.items()}
    after = Project({**project.texts, **texts}, project.roots)
    for other in project.files(target.path):
        if set(project.modules(other)) & set(edits):
            compare(project, after, other, target, name)
    return edits


def check_name(target: Target, name: str) -> None:
    """Refuse a name that nothing can have."""
    if not NAME.fullmatch(name) or name in RESERVED or name == "_":
        raise ValueError(f"{name!r} cannot be a name: letters, digits and _, and no word of the language")
    if target.declared.kind in VALUES and (name in vocabulary.ACTIONS or name in KEYWORDS.values()):
        raise ValueError(f"{name} means something already; choose another name")
    if name == target.declared.name:
        raise ValueError(f"it is called {name} already")


def replaced(text: str, spans: list[Span], name: str) -> str:
    """The text with a name put in at several places."""
    lines = text.split("\n")
    for span in sorted(spans, reverse=True):
        line = lines[span.line]
        lines[span.line] = line[: span.start] + name + line[span.end :]
    return "\n".join(lines)


def compare(before: Project, after: Project, path: Path, target: Target, name: str) -> None:
    """Refuse a rename after which a name means something else, or a file has mistakes that it had not."""
    old, new = before.names(path), after.names(path)
    same = len(old.used) == len(new.used) and len(old.declared) == len(new.declared)
    if not same or meanings(before, path) != meanings(after, path):
        raise ValueError(f"{path.name} already has another {name}: names would change what they mean")
    if mistakes(before, path) is None and (found := mistakes(after, path)) is not None:
        raise ValueError(f"{path.name} would no longer be right: {found}")


def meanings(project: Project, path: Path) -> list[list[tuple[Path, int]]]:
    """What every use of a name means, without the names themselves: which declaration of which file."""
    number = {
        (module, item.span): index
        for module in project.modules(path)
        for index, item in enumerate(project.names(module).declared)
    }
    return [
        [(target.path, number[target.path, target.declared.span]) for target in project.meant(path, used)]
        for used in project.names(path).used
    ]


def mistakes(project: Project, path: Path) -> str | None:
    """The first mistake of a file; None where it has none."""
    try:
        loads(project.text(path) or "", path=path.name, folder=path.parent, texts=project.unsaved(path))
    except ValueError as error:
        return error.message if isinstance(error, LanguageError) else str(error)
    return None


# --- outline ---------------------------------------------------------------------------------------------------------


def outline(project: Project, path: Path) -> list[list[Declared]]:
    """The parts of a file, each with what it holds: its world with rows and pointers, its programs and its tasks."""
    by_part: dict[int, list[Declared]] = {}
    for item in project.names(path).declared:
        by_part.setdefault(item.part, []).append(item)
    return list(by_part.values())
