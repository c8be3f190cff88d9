"""The protocol around the answers: places in the client's units, documents, diagnostics, the server itself."""

from __future__ import annotations

import asyncio
import difflib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lsprotocol import types as t
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

import npi
from dsl.errors.error import LanguageError
from dsl.formatting.formatter import format_text
from npi.lsp import answers
from npi.lsp import names as n
from npi.lsp.completion import Offer, complete
from npi.lsp.diagnostics import Mistake, mistakes_of
from npi.lsp.names import Span
from npi.lsp.project import Project

DELAY = 0.15
"""Seconds without a change after which a text is checked."""

SYMBOLS = {
    n.WORLD: t.SymbolKind.Namespace,
    n.ROW: t.SymbolKind.Array,
    n.POINTER: t.SymbolKind.Variable,
    n.COUNTER: t.SymbolKind.Variable,
    n.PROGRAM: t.SymbolKind.Function,
    n.PARAMETER: t.SymbolKind.TypeParameter,
    n.VARIABLE: t.SymbolKind.Variable,
    n.TASK: t.SymbolKind.Event,
    n.INPUT: t.SymbolKind.Field,
}

COMPLETIONS = {
    "keyword": t.CompletionItemKind.Keyword,
    "type": t.CompletionItemKind.Class,
    "word": t.CompletionItemKind.EnumMember,
    "function": t.CompletionItemKind.Function,
    "primitive": t.CompletionItemKind.Method,
    "file": t.CompletionItemKind.File,
    n.PROGRAM: t.CompletionItemKind.Function,
    n.ROW: t.CompletionItemKind.Field,
}


class Refused(JsonRpcException):
    """What was asked for cannot be done; the message is shown to the user."""

    CODE = t.LSPErrorCodes.RequestFailed.value

    def __init__(self, message: str) -> None:
        super().__init__(message=message, code=self.CODE)


class Server(LanguageServer):
    """The language server: what it needs beside pygls's own state."""

    def __init__(self) -> None:
        super().__init__("npi", npi.__version__)

    def path(self, uri: str) -> Path:
        """The file of a document; one that is not saved yet lies in the working folder."""
        name = to_fs_path(uri)
        return Path(name).resolve() if name and uri.startswith("file:") else Path(re.sub(r"\W", "_", uri)).resolve()

    def asked(self, params: Any) -> tuple[Project, Path, int, int]:
        """The files, and the file, line and column that a request is about."""
        project, path = self.project(), self.path(params.text_document.uri)
        return (project, path, *self.place(project, path, params.position))

    def project(self) -> Project:
        """The files as they are now."""
        documents = self.workspace.text_documents
        texts = {self.path(uri): document.source for uri, document in documents.items()}
        folders = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri or ""]
        return Project(texts, tuple(self.path(uri) for uri in folders if uri.startswith("file:")))

    def uri(self, path: Path) -> str:
        """The document of a file, as the client names it."""
        for uri in self.workspace.text_documents:
            if self.path(uri) == path:
                return uri
        found = from_fs_path(str(path))
        assert found is not None, f"{path} has no URI"
        return found

    # places: ours are characters of a line, the client's are units of its encoding

    def units(self, line: str, column: int) -> int:
        return self.workspace.position_codec.client_num_units(line[:column])

    def place(self, project: Project, path: Path, position: t.Position) -> tuple[int, int]:
        """Line and column of a position of the client's."""
        line = line_of(project.text(path) or "", position.line)
        column = next((c for c in range(len(line)) if self.units(line, c) >= position.character), len(line))
        return position.line, column

    def range_of(self, text: str, span: Span) -> t.Range:
        line = line_of(text, span.line)
        ends = (self.units(line, span.start), self.units(line, span.end))
        return t.Range(t.Position(span.line, ends[0]), t.Position(span.line, ends[1]))

    def location(self, project: Project, path: Path, span: Span) -> t.Location:
        return t.Location(self.uri(path), self.range_of(project.text(path) or "", span))


def line_of(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number].removesuffix("\r") if number < len(lines) else ""


# --- features --------------------------------------------------------------------------------------------------------


def on_hover(server: Server, params: t.HoverParams) -> t.Hover | None:
    project, path, line, column = server.asked(params)
    found = answers.hover(project, path, line, column)
    if found is None:
        return None
    text, span = found
    content = t.MarkupContent(t.MarkupKind.Markdown, text)
    return t.Hover(content, server.range_of(project.text(path) or "", span))


def on_definition(server: Server, params: t.DefinitionParams) -> list[t.Location]:
    project, path, line, column = server.asked(params)
    places = answers.definition(project, path, line, column)
    return [server.location(project, other, span) for other, span in places]


def on_references(server: Server, params: t.ReferenceParams) -> list[t.Location]:
    project, path, line, column = server.asked(params)
    wanted = params.context.include_declaration
    found = answers.references(project, path, line, column, declaration=wanted)
    return [server.location(project, other, span) for other, span in found]


def on_prepare_rename(server: Server, params: t.PrepareRenameParams) -> t.Range:
    project, path = server.project(), server.path(params.text_document.uri)
    try:
        span = answers.renamable(project, path, *server.place(project, path, params.position))
    except ValueError as error:
        raise Refused(str(error)) from error
    return server.range_of(project.text(path) or "", span)


def on_rename(server: Server, params: t.RenameParams) -> t.WorkspaceEdit:
    project, path, line, column = server.asked(params)
    try:
        found = answers.rename(project, path, line, column, params.new_name)
    except ValueError as error:
        raise Refused(str(error)) from error
    return t.WorkspaceEdit(
        changes={
            server.uri(other): [
                t.TextEdit(server.range_of(project.text(other) or "", span), params.new_name) for span in spans
            ]
            for other, spans in found.items()
        }
    )


def on_completion(server: Server, params: t.CompletionParams) -> list[t.CompletionItem]:
    return [item_of(offer, number) for number, offer in enumerate(complete(*server.asked(params)))]


def item_of(offer: Offer, number: int) -> t.CompletionItem:
    """An offer in the protocol's words; offers stay in their order."""
    doc = t.MarkupContent(t.MarkupKind.Markdown, offer.doc) if offer.doc else None
    return t.CompletionItem(
        label=offer.label,
        kind=COMPLETIONS.get(offer.kind, t.CompletionItemKind.Variable),
        detail=offer.detail or None,
        documentation=doc,
        sort_text=f"{number:04}",
        insert_text=offer.snippet or offer.label,
        insert_text_format=t.InsertTextFormat.Snippet if offer.snippet else t.InsertTextFormat.PlainText,
    )


def on_formatting(server: Server, params: t.DocumentFormattingParams) -> list[t.TextEdit] | None:
    """Edits of the lines that change; none for a text with mistakes, which are shown in it."""
    project, path = server.project(), server.path(params.text_document.uri)
    before = project.text(path) or ""
    try:
        after = format_text(before, path=str(path))
    except LanguageError:
        return None
    return list(line_edits(before, after))


def line_edits(before: str, after: str) -> Iterator[t.TextEdit]:
    """Whole lines put in place of others."""
    old, new = whole_lines(before), whole_lines(after)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield t.TextEdit(t.Range(t.Position(a, 0), t.Position(b, 0)), "".join(new[c:d]))


def whole_lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def on_symbols(server: Server, params: t.DocumentSymbolParams) -> list[t.DocumentSymbol]:
    project, path = server.project(), server.path(params.text_document.uri)
    text = project.text(path) or ""
    return [symbol(server, text, item) for item in answers.outline(project, path)]


def symbol(server: Server, text: str, item: answers.Outlined) -> t.DocumentSymbol:
    first, last = item.declared.lines
    end = t.Position(last, server.units(line_of(text, last), len(line_of(text, last))))
    return t.DocumentSymbol(
        name=item.declared.name,
        detail=item.detail,
        kind=SYMBOLS[item.declared.kind],
        range=t.Range(t.Position(first, 0), end),
        selection_range=server.range_of(text, item.declared.span),
        children=[symbol(server, text, inner) for inner in item.inside],
    )


# --- diagnostics -----------------------------------------------------------------------------------------------------


async def on_change(server: Server, params: Any) -> None:
    """Check a document once it is not being changed any more."""
    await tell(server, params.text_document.uri)


async def on_save(server: Server, params: t.DidSaveTextDocumentParams) -> None:
    """What is saved is used by others: check all that are open."""
    for uri in list(server.workspace.text_documents):
        await tell(server, uri, delay=0)


def on_close(server: Server, params: t.DidCloseTextDocumentParams) -> None:
    server.text_document_publish_diagnostics(t.PublishDiagnosticsParams(params.text_document.uri, []))


async def tell(server: Server, uri: str, *, delay: float = DELAY) -> None:
    """Check a document and publish what is wrong with it, unless it has changed meanwhile."""

    def version() -> int | None:
        document = server.workspace.text_documents.get(uri)
        return None if document is None else document.version or 0

    before = version()
    await asyncio.sleep(delay)
    if before is None or version() != before:
        return
    project, path = server.project(), server.path(uri)
    found = await asyncio.to_thread(mistakes_of, project, path)
    if version() == before:
        told = [diagnostic(server, project, path, mistake) for mistake in found]
        server.text_document_publish_diagnostics(t.PublishDiagnosticsParams(uri, told, before))


def diagnostic(server: Server, project: Project, path: Path, mistake: Mistake) -> t.Diagnostic:
    related = None
    if mistake.other is not None:
        other, span = mistake.other
        related = [t.DiagnosticRelatedInformation(server.location(project, other, span), mistake.message)]
    severity = t.DiagnosticSeverity.Warning if mistake.warning else t.DiagnosticSeverity.Error
    return t.Diagnostic(
        range=server.range_of(project.text(path) or "", mistake.span),
        message=f"{mistake.message}\n{mistake.fix}" if mistake.fix else mistake.message,
        severity=severity,
        code=mistake.code or None,
        source="npi",
        related_information=related,
    )


FEATURES: tuple[tuple[str, Callable[..., Any], Any], ...] = (
    (t.TEXT_DOCUMENT_HOVER, on_hover, None),
    (t.TEXT_DOCUMENT_DEFINITION, on_definition, None),
    (t.TEXT_DOCUMENT_REFERENCES, on_references, None),
    (t.TEXT_DOCUMENT_PREPARE_RENAME, on_prepare_rename, None),
    (t.TEXT_DOCUMENT_RENAME, on_rename, t.RenameOptions(prepare_provider=True)),
    (t.TEXT_DOCUMENT_COMPLETION, on_completion, t.CompletionOptions(trigger_characters=['"', ".", "(", ","])),
    (t.TEXT_DOCUMENT_FORMATTING, on_formatting, None),
    (t.TEXT_DOCUMENT_DOCUMENT_SYMBOL, on_symbols, None),
    (t.TEXT_DOCUMENT_DID_OPEN, on_change, None),
    (t.TEXT_DOCUMENT_DID_CHANGE, on_change, None),
    (t.TEXT_DOCUMENT_DID_SAVE, on_save, None),
    (t.TEXT_DOCUMENT_DID_CLOSE, on_close, None),
)
"""What the server does, by the protocol's names."""


def unexpected(record: logging.LogRecord) -> bool:
    """Whether a logged error is one: what was refused has been told to the user, and needs no traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], Refused))


def make_server() -> Server:
    """A language server, ready to be started."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(unexpected)
    server = Server()
    for name, work, options in FEATURES:
        server.feature(name, options)(work)
    return server
