"""What the parser says for common mistakes: a table *message and fix ← wrong examples*, served to Lark and tests."""

from __future__ import annotations

from typing import NamedTuple


class Hint(NamedTuple):
    message: str
    fix: str
    code: str


TERMINALS = {
    "_NL": "the end of the line",
    "_INDENT": "a block, indented deeper",
    "_DEDENT": "the end of the block",
    "$END": "the end of the file",
    "NAME": "a name",
    "INT": "a number",
    "FLOAT": "a number with a point",
    "STRING": "a quoted text",
    "COMPARE": "== != < <= > >=",
    "PLUS": "+",
    "MINUS": "-",
    "TIMES": "*",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "COLON": ":",
    "COMMA": ",",
    "EQUAL": "=",
    "DOT": ".",
    "__ANON_0": "..",
}
"""The grammar's terminals, in words."""

KEYWORDS = {
    word.upper(): word
    for word in (
        "use world is joins row of or pointer counter order jump on at program over steps core maximise minimise "
        "imitate if elif else while for in pass return task where number base list acyclic graph run expect train test "
        "digits items vertices traces and not div mod blank"
    ).split()
}
"""Terminals that are words."""

RESERVED = frozenset("if elif else while for in pass return blank and or not div mod of is use".split())
"""Words that nothing can be named."""

COLON = Hint("the line that opens a block does not end in a colon", "put a : at its end", "NPI010")
_BLOCK = Hint("an empty block", "indent at least one statement under the line before; pass does nothing", "NPI011")
EQUAL = Hint("= lays a row out in a task; it does not compare", "use == to compare", "NPI012")
_CHAIN = Hint("comparisons cannot be chained", "join two of them: a < b and b < c", "NPI013")

EXAMPLES: dict[Hint, list[str]] = {
    COLON: [
        "program A\n    pass\n",
        'program A "doc"\n    pass\n',
        "program A(p: digit)\n    pass\n",
        "program A:\n    while B\n        C\n",
        "program A:\n    while B == C\n        C\n",
        "program A:\n    while B(C)\n        C\n",
        "program A:\n    if 1\n        C\n",
        "program A:\n    if 1:\n        C\n    elif D\n        C\n",
        "program A:\n    if 1:\n        C\n    else\n        C\n",
        "program A:\n    for p in B, C\n        C\n",
        "task t(a: number)\n    run A\n",
    ],
    _BLOCK: [
        "program A:\nprogram B:\n    pass\n",
        "program A:\n    while B:\n    C\n",
        "program A:\n    if B:\n    C\n",
        "world w is scratchpad:\nprogram A:\n    pass\n",
        "task t:\nprogram A:\n    pass\n",
    ],
    EQUAL: [
        "program A:\n    if B = 1:\n        C\n",
        "program A:\n    while B(C) = 1:\n        C\n",
        "program A:\n    while 1 = 1:\n        C\n",
        "task t:\n    run A\n    expect B = 1\n",
    ],
    _CHAIN: [
        "program A:\n    if 1 < 2 < 3:\n        C\n",
        "program A:\n    if B < C == D:\n        C\n",
        "task t:\n    expect 1 == 1 == 1\n",
    ],
    Hint("a program's body is not inside a program", "indent it under program NAME:", "NPI014"): [
        "ACT(P, LEFT)\n",
        "A\n",
    ],
    Hint("text after the call", "one call a line; arguments stand in brackets: NAME(a, b)", "NPI015"): [
        "program A:\n    B C\n",
        "program A:\n    B(1) C\n",
    ],
    Hint("a value is set, which a program cannot do", "write a cell instead: ACT(POINTER, WRITE, value)", "NPI016"): [
        "program A:\n    B = 1\n",
    ],
    Hint("a program begins with its name", "write: program NAME:", "NPI017"): [
        "program:\n    pass\n",
        'program "doc":\n    pass\n',
    ],
    Hint("a world needs its kind", "write: world NAME is scratchpad:", "NPI018"): [
        "world w:\n    row A of digit\n",
        "world w scratchpad:\n    row A of digit\n",
    ],
    Hint("a row needs the symbols that it holds", 'write: row NAME of digit, or of 0..9, or of "a" or "b"', "NPI019"): [
        "world w is scratchpad:\n    row A\n",
        "world w is scratchpad:\n    row A, B\n",
    ],
    Hint("an input of a task needs its kind", "write: a: number, items: list of 0..9, or k: 0..9", "NPI020"): [
        "task t(a):\n    run A\n",
        "task t(a, b):\n    run A\n",
    ],
    Hint("a parameter needs its domain", "write: p: pointer, v: digit, d: direction, or p: P1 or P2", "NPI021"): [
        "program A(p):\n    pass\n",
        "program A(p, q):\n    pass\n",
    ],
    Hint("else if is one word here", "write elif", "NPI023"): [
        "program A:\n    if 1:\n        C\n    else if 2:\n        C\n",
    ],
    Hint("a program with a learning signal has no body", "keep the signal, or the body", "NPI022"): [
        "program A:\n    maximise reward\n    B\n",
        "program A:\n    maximise reward over 9 steps\n    B\n",
        'program A:\n    imitate demonstration\n    core "x"\n    B\n',
    ],
}
