"""Changes to files by somebody who means harm: values of JSON and tensors, each sealed again, and what comes of a file.

The hashes are computed here a second time, as docs/libraries.md says them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from npi.core.base import tensors_digest

MEMORY = 6 << 30
"""Bytes that a case may take beside what its process had before."""

SECONDS = 60
"""A case that takes more hangs."""

DEEP = 5000
"""Levels of nested lists and objects."""

RAW = ("NaN", "-Infinity", "1e999", str(10**30), '"\\ud800"', "2.0", "[" * DEEP + "]" * DEEP,
       '{"a":' * DEEP + "1" + "}" * DEEP, "[" * 150 + "]" * 150)  # fmt: skip
"""What JSON texts can hold and no writer of ours writes."""

PLAIN = (
    None, True, 0, -1, 3, 2**31, 0.5, "", "x" * 10_000, "../../etc/passwd", "\0", "\x1b]0;x\x07", "0" * 64,
    [], {}, [1, 2, 3], [None], {"a": 1}, [[0]],
)  # fmt: skip


class Raw(str):
    """A part of a JSON text as it is to be written."""


def changed(value: Any, chooser: random.Random) -> tuple[Any, str]:
    """A JSON value with one part changed, and what was changed."""
    value = json.loads(json.dumps(value))
    places = list(_places(value))
    if not places:
        return chooser.choice(PLAIN), "everything is replaced"
    holder, key, path = chooser.choice(places)
    part, ways = holder[key], ["replaced", "replaced", "raw", "removed", "added", "twice"]
    ways += ["moved"] * (type(part) in (int, float))
    way = chooser.choice(ways)
    if way == "replaced":
        holder[key] = chooser.choice(PLAIN)
    elif way == "raw":
        holder[key] = Raw(chooser.choice(RAW))
    elif way == "removed":
        del holder[key]
    elif way == "moved":
        holder[key] = chooser.choice([-part, part + 1, part - 1, float(part), part * 2**31])
    elif way == "added" or isinstance(holder, list):
        extra = chooser.choice(PLAIN)
        holder.insert(key, extra) if isinstance(holder, list) else holder.update({"more": extra})
    else:
        holder[key] = Raw(f"{text_of(part)},{json.dumps(key)}:{text_of(part)}")
    return value, f"{path} {way}"


def _places(value: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Every part with what holds it; of long lists the first and last few parts."""
    if isinstance(value, dict):
        keys: Sequence[Any] = list(value)
    else:
        keys = sorted({*range(len(value))[:4], *range(len(value))[-2:]}) if isinstance(value, list) else ()
    for key in keys:
        yield value, key, f"{path}.{key}"
        yield from _places(value[key], f"{path}.{key}")


def text_of(value: Any) -> str:
    """The JSON text of a value in which there may be :class:`Raw` parts."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {text_of(part)}" for key, part in value.items()) + "}"
    return f"[{', '.join(map(text_of, value))}]" if isinstance(value, list) else json.dumps(value)


def bytes_of(value: Any) -> bytes:
    """The JSON text of a value, in UTF-8."""
    return text_of(value).encode("utf-8", "surrogatepass")


def manifest_bytes(manifest: Any) -> bytes:
    """A manifest, sealed: its last entry is the sha256 of all before it."""
    if isinstance(manifest, dict):
        manifest = {key: part for key, part in manifest.items() if key != "sha256"}
    text = bytes_of(manifest)
    body = text[:-1] if text.endswith(b"}") else text
    seal = hashlib.sha256(body + b"\n}").hexdigest()
    return body + f',\n "sha256": "{seal}"\n}}\n'.encode()


def digest_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """sha256 over tensors; of numbers that numpy does not know, none that is right."""
    try:
        return tensors_digest(tensors)
    except TypeError:
        return "0" * 64


def tensor_file(tensors: Mapping[str, torch.Tensor], about: Any) -> bytes:
    """A tensor file with JSON in its head, sealed."""
    text = bytes_of(about)
    seal = hashlib.sha256(f"{digest_of(tensors)} ".encode() + text).hexdigest()
    head = {"about": f"{seal} {text.decode('utf-8', 'replace')}"}
    return save({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, head)


def parts_of(data: bytes) -> tuple[dict[str, torch.Tensor], Any]:
    """Tensors and JSON of a tensor file."""
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return load(data), json.loads(head["__metadata__"]["about"].partition(" ")[2])


def changed_tensors(tensors: dict[str, torch.Tensor], chooser: random.Random) -> str:
    """Change one tensor of a file; what was changed."""
    name = chooser.choice(sorted(tensors))
    part, other = tensors[name], chooser.choice(sorted(tensors))
    ways: dict[str, Callable[[], object]] = {
        "renamed": lambda: tensors.update({chooser.choice(["x", "", "../x", f"{name}.1"]): tensors.pop(name)}),
        "removed": lambda: tensors.pop(name),
        "added": lambda: tensors.update({f"{name}.more": part}),
        "of another": lambda: tensors.update({name: tensors[other]}),
        "in bfloat16": lambda: tensors.update({name: part.to(torch.bfloat16)}),
        "of another type": lambda: tensors.update(
            {name: part.to(chooser.choice([torch.float64, torch.int64, torch.int8, torch.bool, torch.uint8]))}
        ),
        "flat": lambda: tensors.update({name: part.flatten()}),
        "deeper": lambda: tensors.update({name: part[None]}),
        "shorter": lambda: tensors.update({name: part.flatten()[:-1]}),
        "empty": lambda: tensors.update({name: part.flatten()[:0]}),
        "longer": lambda: tensors.update({name: torch.cat([part, part]) if part.dim() else part[None]}),
    }
    if part.numel():
        worst = [torch.nan, torch.inf, -torch.inf, 3e38] if part.is_floating_point() else [-1, 127, -128, 2**15 - 1]
        ways["with a bad number"] = lambda: tensors.update({name: _with(part, chooser, chooser.choice(worst))})
        ways["of bad numbers"] = lambda: tensors.update({name: torch.full_like(part, chooser.choice(worst[:2]))})
    way = chooser.choice(sorted(ways))
    ways[way]()
    return f"{name} {way}"


def _with(part: torch.Tensor, chooser: random.Random, number: float) -> torch.Tensor:
    found = part.clone()
    found.view(-1)[chooser.randrange(part.numel())] = number
    return found


# --- what comes of it -------------------------------------------------------------------------------------------------

Case = Callable[[int], tuple[str, str]]
"""Of a number: what came of it (``refused``, ``taken`` …), and what was changed."""


def outcomes(case: Case, count: int, folder: Path) -> list[tuple[str, str]]:
    """What comes of each case, in processes of their own: one that ends without an answer crashed, or was stopped."""
    found: list[tuple[str, str]] = []
    told = folder / "outcomes"
    while len(found) < count:
        told.write_bytes(b"")
        process = os.fork()
        if process == 0:
            _work(case, range(len(found), count), told)
        _, status = os.waitpid(process, 0)
        found += [tuple(json.loads(line)) for line in told.read_text().splitlines()]
        if len(found) < count:
            hangs = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            found.append(("hang" if hangs else "crash", f"case {len(found)} ended with {status}"))
    return found


def _work(case: Case, numbers: range, told: Path) -> None:
    """Do the cases in this process, and end it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with told.open("a") as file:
        for number in numbers:
            signal.alarm(SECONDS)
            try:
                found = case(number)
            except BaseException:
                found = "traceback", traceback.format_exc()[-2000:]
            file.write(json.dumps(found) + "\n")
            file.flush()
    os._exit(0)


@cache
def _npi() -> Callable[[Sequence[str]], int]:
    """The command line, as it is installed."""
    return next(iter(entry_points(group="console_scripts", name="npi"))).load()  # type: ignore[no-any-return]


def command(words: Sequence[str], *names: str) -> tuple[str, str]:
    """What a command line comes to: ``refused`` by one message that names one of these files, ``unnamed`` where it does
    not, ``taken`` with exit status 0, ``failed`` with 1; and what it says. Anything else raises."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _npi()(list(words))
    text = err.getvalue()
    assert code in (0, 1, 2), f"exit status {code}: {text}"
    assert "Traceback" not in text, text
    if code == 2:
        assert "Usage: " not in text, text
        return ("refused" if any(name in text for name in names) else "unnamed"), text.strip()[-300:]
    return ("taken" if code == 0 else "failed"), (out.getvalue() + text)[-300:]
