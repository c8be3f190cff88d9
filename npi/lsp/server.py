"""The protocol around the answers: places in the client's units, documents, diagnostics, the server itself."""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from lsprotocol import types as t
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

import npi
from dsl.analysis.diagnose import diagnose
from dsl.errors.error import LanguageError, Remark
from dsl.formatting.formatter import format_file
from envs.support.user_files import real_path
from npi.lsp import answers
from npi.lsp import names as n
from npi.lsp.completion import Offer, called, complete
from npi.lsp.names import FILE, Declared, Span
from npi.lsp.project import Project, used_path
from npi.lsp.quick_fixes import quick_fix

DELAY = 0.15
"""Seconds without a change after which a text is checked."""

MAX_DIAGNOSTICS = 500
"""That an editor is told of one text."""

WORD = re.compile(r'"(?:\\.|[^"\\\n])*"|\w+|[^\w\s]|$')
"""What a mistake is marked at: the word that begins there."""

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


@contextmanager
def refusing() -> Iterator[None]:
    """Show the user why something cannot be done."""
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from error


class Server(LanguageServer):
    """The language server: what it needs beside pygls's own state.

    Our columns are characters of a line, the client's are units of its encoding.

    Attributes:
        told: of each document, its version when it was last checked, and what was found.
        shut_down: whether the client has asked to end, which it does before ``exit``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: dict[str, tuple[int | None, list[t.Diagnostic]]] = {}
        self.shut_down = False

    def path(self, uri: str) -> Path:
        """The file of a document; one that is not saved yet lies in the working folder."""
        name = to_fs_path(uri)
        return real_path(name) if name and uri.startswith("file:") else real_path(re.sub(r"\W", "_", uri))

    def uri(self, path: Path) -> str:
        """The document of a file, as the client names it."""
        for uri in self.workspace.text_documents:
            if self.path(uri) == path:
                return uri
        found = from_fs_path(str(path))
        assert found is not None, f"{path} has no URI"
        return found

    def project(self) -> Project:
        """The files as they are now."""
        documents = self.workspace.text_documents
        texts = {self.path(uri): document.source for uri, document in documents.items()}
        folders = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri or ""]
        return Project(texts, tuple(self.path(uri) for uri in folders if uri.startswith("file:")))

    def document(self, params: Any) -> tuple[Project, Path]:
        """The files, and the one that a request is about."""
        return self.project(), self.path(params.text_document.uri)

    def asked(self, params: Any) -> tuple[Project, Path, int, int]:
        """The files, and the file, line and column that a request is about."""
        project, path = self.document(params)
        place = self.workspace.position_codec.position_from_client_units(project.lines(path), params.position)
        return project, path, place.line, place.character

    def range(self, lines: list[str], first: tuple[int, int], last: tuple[int, int]) -> t.Range:
        """From a line and column to another one."""
        ours = t.Range(t.Position(*first), t.Position(*last))
        return self.workspace.position_codec.range_to_client_units(lines, ours)

    def range_of(self, project: Project, path: Path, span: Span) -> t.Range:
        return self.range(project.lines(path), (span.line, span.start), (span.line, span.end))

    def location(self, project: Project, path: Path, span: Span) -> t.Location:
        return t.Location(self.uri(path), self.range_of(project, path, span))


SERVER = Server("npi", npi.__version__)


# --- features --------------------------------------------------------------------------------------------------------


@SERVER.feature(t.TEXT_DOCUMENT_HOVER)
@SERVER.thread()
def on_hover(server: Server, params: t.HoverParams) -> t.Hover | None:
    project, path, line, column = server.asked(params)
    found = answers.hover(project, path, line, column)
    if found is None:
        return None
    text, span = found
    return t.Hover(t.MarkupContent(t.MarkupKind.Markdown, text), server.range_of(project, path, span))


@SERVER.feature(t.TEXT_DOCUMENT_DEFINITION)
@SERVER.thread()
def on_definition(server: Server, params: t.DefinitionParams) -> list[t.Location]:
    project, path, line, column = server.asked(params)
    return [server.location(project, *place) for place in answers.definition(project, path, line, column)]


@SERVER.feature(t.TEXT_DOCUMENT_REFERENCES)
@SERVER.thread()
def on_references(server: Server, params: t.ReferenceParams) -> list[t.Location]:
    project, path, line, column = server.asked(params)
    wanted = params.context.include_declaration
    found = answers.references(project, path, line, column, declaration=wanted)
    return [server.location(project, *place) for place in found]


@SERVER.feature(t.TEXT_DOCUMENT_PREPARE_RENAME)
@SERVER.thread()
def on_prepare_rename(server: Server, params: t.PrepareRenameParams) -> t.Range:
    project, path, line, column = server.asked(params)
    with refusing():
        return server.range_of(project, path, answers.renamable(project, path, line, column)[1])


@SERVER.feature(t.TEXT_DOCUMENT_RENAME, t.RenameOptions(prepare_provider=True))
@SERVER.thread()
def on_rename(server: Server, params: t.RenameParams) -> t.WorkspaceEdit:
    project, path, line, column = server.asked(params)
    with refusing():
        found = answers.rename(project, path, line, column, params.new_name)
    edits = {
        server.uri(other): [t.TextEdit(server.range_of(project, other, span), params.new_name) for span in spans]
        for other, spans in found.items()
    }
    return t.WorkspaceEdit(changes=edits)


@SERVER.feature(t.TEXT_DOCUMENT_COMPLETION, t.CompletionOptions(trigger_characters=['"', ".", "(", ","]))
@SERVER.thread()
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


@SERVER.feature(t.TEXT_DOCUMENT_FORMATTING)
@SERVER.thread()
def on_formatting(server: Server, params: t.DocumentFormattingParams) -> list[t.TextEdit] | None:
    """Edits of the lines that change; none for a text with mistakes, which are shown in it."""
    project, path = server.document(params)
    before = project.text(path) or ""
    try:
        after = format_file(before, path=str(path))
    except LanguageError:
        return None
    return list(line_edits(before, after))


def line_edits(before: str, after: str) -> Iterator[t.TextEdit]:
    """Whole lines put in place of others."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield t.TextEdit(t.Range(t.Position(a, 0), t.Position(b, 0)), "".join(new[c:d]))


@SERVER.feature(t.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
@SERVER.thread()
def on_symbols(server: Server, params: t.DocumentSymbolParams) -> list[t.DocumentSymbol]:
    project, path = server.document(params)
    lines = project.lines(path)

    def symbol(item: Declared, *inside: Declared, detail: str = "") -> t.DocumentSymbol:
        first, last = item.lines
        return t.DocumentSymbol(
            name=item.name,
            detail=detail or answers.signature(item),
            kind=SYMBOLS[item.kind],
            range=server.range(lines, (first, 0), (last, len(lines[last]))),
            selection_range=server.range_of(project, path, item.span),
            children=[symbol(inner) for inner in inside],
        )

    return [symbol(*items, detail=items[0].doc) for items in answers.outline(project, path)]


@SERVER.feature(t.TEXT_DOCUMENT_SIGNATURE_HELP, t.SignatureHelpOptions(trigger_characters=["(", ","]))
def on_signature(server: Server, params: t.SignatureHelpParams) -> t.SignatureHelp | None:
    found = called(*server.asked(params))
    if found is None:
        return None
    arguments = [t.ParameterInformation(label=place) for place in found.arguments]
    doc = t.MarkupContent(t.MarkupKind.Markdown, found.doc) if found.doc else None
    return t.SignatureHelp([t.SignatureInformation(found.form, doc, arguments)], 0, found.place)


@SERVER.feature(t.WORKSPACE_SYMBOL)
def on_workspace_symbols(server: Server, params: t.WorkspaceSymbolParams) -> list[t.WorkspaceSymbol]:
    """Worlds, programs and tasks of all files whose names hold the letters that are asked for, in their order."""
    project, wanted = server.project(), re.compile(".*".join(map(re.escape, params.query)), re.IGNORECASE)
    return [
        t.WorkspaceSymbol(
            location=server.location(project, path, item.span),
            name=item.name,
            kind=SYMBOLS[item.kind],
            container_name=path.stem,
        )
        for path in project.everything()
        for item in project.names(path).declared
        if item.kind in (n.WORLD, n.PROGRAM, n.TASK) and wanted.search(item.name)
    ]


@SERVER.feature(t.TEXT_DOCUMENT_CODE_ACTION, t.CodeActionOptions([t.CodeActionKind.QuickFix]))
def on_code_action(server: Server, params: t.CodeActionParams) -> list[t.CodeAction]:
    """What mends the mistakes in a range, as the last check found them; nothing where the text has changed since."""
    uri = params.text_document.uri
    document, (version, told) = server.workspace.text_documents.get(uri), server.told.get(uri, (None, []))
    if document is None or (document.version or 0) != version:
        return []

    def touched(place: t.Range) -> bool:
        first, last = params.range.start, params.range.end
        return (place.start.line, place.start.character) <= (last.line, last.character) and (
            (first.line, first.character) <= (place.end.line, place.end.character)
        )

    return [action_of(uri, one) for one in told if one.data and touched(one.range)]


def action_of(uri: str, told: t.Diagnostic) -> t.CodeAction:
    """What does as a mistake's fix says: the edit that :func:`diagnostic` keeps beside it."""
    title, line, first, last, text = told.data  # type: ignore[misc]
    edit = t.TextEdit(t.Range(t.Position(line, first), t.Position(line, last)), text)
    change = t.WorkspaceEdit(changes={uri: [edit]})
    return t.CodeAction(title, t.CodeActionKind.QuickFix, [told], is_preferred=True, edit=change)


# --- the end ---------------------------------------------------------------------------------------------------------


@SERVER.feature(t.SHUTDOWN)
def on_shutdown(server: Server, params: None) -> None:
    server.shut_down = True


@SERVER.feature(t.EXIT)
def on_exit(server: Server, params: None) -> None:
    """End the process, at once: a check or an answer that another thread is still making is for nobody.

    pygls would close stdout and wait for those threads. One that then has an answer fails to write it, fails to tell
    the client that it failed, and so on, until its tracebacks fill stderr, which no editor has to read: it never ends.
    """
    os._exit(0 if server.shut_down else 1)


# --- diagnostics -----------------------------------------------------------------------------------------------------


@SERVER.feature(t.TEXT_DOCUMENT_DID_OPEN)
@SERVER.feature(t.TEXT_DOCUMENT_DID_CHANGE)
async def on_change(server: Server, params: Any) -> None:
    """Check a document once it is not being changed any more."""
    await tell(server, params.text_document.uri)


@SERVER.feature(t.TEXT_DOCUMENT_DID_SAVE)
async def on_save(server: Server, params: t.DidSaveTextDocumentParams) -> None:
    """What is saved is used by others: check all that are open."""
    for uri in list(server.workspace.text_documents):
        await tell(server, uri, delay=0)


@SERVER.feature(t.TEXT_DOCUMENT_DID_CLOSE)
def on_close(server: Server, params: t.DidCloseTextDocumentParams) -> None:
    server.told.pop(params.text_document.uri, None)
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
    told = await asyncio.to_thread(diagnostics, server, project, path)
    if version() == before:
        server.told[uri] = before, told
        server.text_document_publish_diagnostics(t.PublishDiagnosticsParams(uri, told, before))


def diagnostics(server: Server, project: Project, path: Path) -> list[t.Diagnostic]:
    """The first :data:`MAX_DIAGNOSTICS` of a file; where there are more, the last one says how many."""
    found = mistakes_of(project, path)
    told = [diagnostic(server, project, path, mistake) for mistake in found[:MAX_DIAGNOSTICS]]
    if len(found) > len(told):
        told[-1].message += f"\n(and {len(found) - len(told):,} more)"
    return told


def mistakes_of(project: Project, path: Path) -> list[LanguageError | Remark]:
    """Everything that is wrong with a file and those that it uses, errors first."""
    found = diagnose(project.text(path) or "", path=str(path), folder=path.parent, texts=project.unsaved(path))
    return [*found.errors, *found.warnings]


def diagnostic(server: Server, project: Project, path: Path, mistake: LanguageError | Remark) -> t.Diagnostic:
    """A mistake with its place: one in a used file is told where that file is used."""
    file, message, related = Path(mistake.file), mistake.message, None
    span = word_span(mistake.source.line(mistake.line), mistake.line - 1, mistake.column - 1)
    if file != path:
        message = f"in {file.name}, line {mistake.line}: {message}"
        related = [t.DiagnosticRelatedInformation(server.location(project, real_path(file), span), message)]
        span = use_span(project, path, file)
    warning, edit, data = isinstance(mistake, Remark), quick_fix(mistake) if file == path else None, None
    if edit is not None:
        place = server.range_of(project, path, edit.span)
        data = [mistake.fix, place.start.line, place.start.character, place.end.character, edit.text]
    return t.Diagnostic(
        range=server.range_of(project, path, span),
        message=f"{message}\n{mistake.fix}" if mistake.fix else message,
        severity=t.DiagnosticSeverity.Warning if warning else t.DiagnosticSeverity.Error,
        code=mistake.code or None,
        source="npi",
        related_information=related,
        data=data,
    )


def word_span(line: str, number: int, column: int) -> Span:
    """The word that begins at a column; a single place at the end of the line."""
    found = WORD.match(line, min(column, len(line)))
    return Span(number, column, found.end() if found is not None else column)


def use_span(project: Project, path: Path, file: Path) -> Span:
    """Where a file is used, itself or through others."""
    for used in project.names(path).used:
        if used.role == FILE and real_path(file) in project.modules(used_path(path, used.name)):
            return used.span
    return Span(0, 0, 0)


def unexpected(record: logging.LogRecord) -> bool:
    """Whether a logged error is one: what was refused has been told to the user, and needs no traceback. Nor does a
    message that cannot be read, which is told once more."""
    if str(record.msg).startswith("Unable to deserialize"):
        return False
    return not (record.exc_info and isinstance(record.exc_info[1], Refused))


def plainly(record: logging.LogRecord) -> bool:
    """Tell of a message that cannot be read in one line, and not with a traceback: it is the editor's fault."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.exc_info = f"{record.msg}: {record.exc_info[1]!r}"[:500], None
    return True


logging.getLogger("pygls.protocol.json_rpc").addFilter(unexpected)
logging.getLogger("pygls.server").addFilter(plainly)


# --- transport -------------------------------------------------------------------------------------------------------

LENGTH = re.compile(rb"content-length: *(\d+)\s*$", re.IGNORECASE)

MAX_MESSAGE_BYTES = 64 << 20
"""Of one message of an editor."""


class Frames:
    """An editor's messages as pygls reads them; one whose header says a wrong length costs no message but the next.

    What is left of a body stands in one line with the header behind it, which is found there.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.read = stream.read

    def readline(self) -> bytes:
        """The next line, of a header that says how long its message is nothing else."""
        line = self.stream.readline(MAX_MESSAGE_BYTES)
        found = LENGTH.search(line)
        if found is None:
            return line
        return (
            b"Content-Length: %s\r\n" % found[1] if len(found[1]) < 12 and int(found[1]) <= MAX_MESSAGE_BYTES else b"\n"
        )


def serve(port: int | None = None) -> None:
    """Serve an editor on stdin and stdout, or one that connects to a port of this machine.

    A signal ends the process at once: nothing is to be kept, and the thread that waits for the editor cannot be ended.
    """
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_DFL)
    if port is None:
        SERVER.start_io(cast(BinaryIO, Frames(sys.stdin.buffer)))
        return
    with socket.create_server(("127.0.0.1", port)) as listening, listening.accept()[0] as editor:
        SERVER.start_io(cast(BinaryIO, Frames(editor.makefile("rb"))), editor.makefile("wb"))
