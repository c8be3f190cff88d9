"""``npi lsp``: the language server that editors start."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from npi.cli.options import option


def lsp(
    port: Annotated[
        int | None, option("--tcp", "Serve one editor on this port of this machine.", "PORT", min=1, max=65535)
    ] = None,
) -> None:
    """Serve an editor: mistakes as you type, hover, definitions, references, rename, completion, layout, outline.

    Speaks the Language Server Protocol on stdin and stdout, so it is started by an editor and not by hand; see
    docs/editor.md.

    \b
    Example:
      npi lsp
    """
    if find_spec("pygls") is None:
        raise ValueError('npi lsp needs the package pygls: pip install "npi-engine[editor]"')
    from npi.lsp.server import serve

    serve(port)
