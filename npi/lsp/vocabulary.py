"""The language's own words, in a line each: what an editor shows for them."""

from __future__ import annotations

from collections.abc import Mapping

from envs.scratchpad.actions import TABLE
from envs.scratchpad.config import ORDER

KEYWORDS: Mapping[str, str] = {
    "use": '`use "FILE.npi"`: takes over the programs and the world of a file beside this one.',
    "world": "`world NAME is KIND:` what programs see and act on; a file and those that it uses share one.",
    "joins": "`world NAME joins A, B`: one world of several; programs of a part act there, a new one in all of them.",
    "row": "`row NAMES of DOMAIN`: rows of cells. With `blank` a row is endless, without it a list of fixed length.",
    "pointer": "`pointer NAMES on ROW at left`: shows the symbol under it, and on a list whether it is first or last.",
    "counter": "`counter NAMES on ROW`: a pointer that shows only whether it is at the first or last cell of its list.",
    "order": "`order P, Q`: the world shows which of two pointers is further left; of three, each two of them.",
    "jump": "`jump TO, HALFWAY`: pointers can go to other pointers at once, or half the way.",
    "program": '`program NAME(p: pointer) "What it does":` its calls, decided on what the world shows.',
    "task": "`task NAME(a: number):` how inputs are laid out, which program runs, and what must come out.",
    "if": "`if CONDITION:` a cell as a condition holds when it is not blank.",
    "elif": "`elif CONDITION:` tried when the conditions before it do not hold.",
    "else": "`else:` when no condition before it holds.",
    "while": "`while CONDITION:` again and again as long as it holds; each round must call something.",
    "for": "`for p in A, B:` the block once for each; names that are known when the file is read.",
    "in": "`for p in A, B:` the names that the block is repeated for.",
    "pass": "Does nothing.",
    "return": "Ends the program.",
    "run": "`run PROGRAM(arguments)`: the program that the task runs.",
    "expect": "`expect CONDITION`: what must hold after the run, worked out apart from the program.",
    "train": "`train a, b of 1..20 digits`: the sizes of inputs to learn from.",
    "test": "`test a, b of 1, 10, 100 digits`: the sizes of inputs to measure.",
    "where": "`where CONDITION`: only inputs for which it holds are drawn.",
    "number": "An input that is a natural number; its size is its number of digits. `number base 2` counts bits.",
    "list": "`list of DOMAIN`: an input that is a list; its size is its length.",
    "graph": "An input that is a directed graph; its size is its number of vertices.",
    "acyclic": "`acyclic graph`: a directed graph without circles.",
    "base": "`number base 2`: a number whose size counts its digits in that base.",
    "digits": "Sizes of numbers, in digits.",
    "items": "Sizes of lists, in items.",
    "vertices": "Sizes of graphs, in vertices.",
    "traces": "`train 4000 traces`: how many runs to learn from, where the inputs have no sizes.",
    "blank": "The symbol of an empty cell. In arithmetic it counts as 0.",
    "and": "Both conditions hold.",
    "or": "One of the conditions holds; in a domain: one symbol or the other.",
    "not": "The condition does not hold.",
    "div": "Division without its rest.",
    "mod": "The rest of a division.",
    "of": "Before a domain, or before sizes.",
    "on": "Before the row of a pointer.",
    "at": "Where a pointer starts: `at left` or `at right`.",
    "is": "Before the kind of a world.",
    "maximise": "`maximise reward over 100 steps`: a learner is told a reward instead of a body.",
    "minimise": "`minimise loss over 100 steps`: a learner is told a loss instead of a body.",
    "imitate": "`imitate demonstration`: a learner is shown runs instead of a body.",
    "over": "Before the number of steps.",
    "steps": "Over how many steps a learner is told its reward.",
    "core": '`core "NAME"`: the kind of core that learns.',
}

FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "first": ("first(P)", "Whether the pointer is at the first cell of its list."),
    "last": ("last(P)", "Whether the pointer is at the last cell of its list."),
    "before": ("before(P, Q)", "Whether P is further left than Q; the world must have `order P, Q`."),
    "same": ("same(P, Q)", "Whether P and Q are in one column; the world must have `order P, Q`."),
    "after": ("after(P, Q)", "Whether P is further right than Q; the world must have `order P, Q`."),
    "number": ("number(ROW, base)", "The number that the row writes after the run; base 10 where none is given."),
    "under": ("under(P)", "The symbol under the pointer after the run."),
    "at": ("at(P)", "The column of the pointer after the run, 0 for the first of the layout."),
    "digits": ("digits(a, base)", "The digits of a number, the first one first; base 10 where none is given."),
    "sorted": ("sorted(items)", "The items in ascending order."),
    "reversed": ("reversed(items)", "The items from the last to the first."),
    "max": ("max(items)", "The largest item, or the largest of several values."),
    "min": ("min(items)", "The smallest item, or the smallest of several values."),
    "sum": ("sum(items)", "The sum of the items."),
    "len": ("len(items)", "How many items there are."),
    "abs": ("abs(a)", "The number without its sign."),
    "count": ("count(items, x)", "How often x is among the items."),
    "gcd": ("gcd(a, b)", "The greatest common divisor."),
    "take": ("take(items, n)", "The first n items."),
    "join": ("join(items, more)", "The lists, one behind the other."),
    "replace": ("replace(items, x, y)", "The items with y in place of every x."),
    "places": ("places(items)", "The places of the items: 0, 1, 2 and so on."),
    "index": ("index(items, x)", "The place of the first x among the items, from 0."),
    "occurrences": ("occurrences(word, text)", "The places at which the word begins in the text."),
    "balanced": ("balanced(text)", "Whether the brackets of the text close in pairs."),
    "edges": ("edges(graph)", "The ends of the edges of each vertex, as a row of cells."),
    "starts": ("starts(graph)", "The places at which the edges of each vertex begin in `edges(graph)`."),
    "is_topological": ("is_topological(vertices, graph)", "Whether no edge leads back in this order of all vertices."),
    "distances": ("distances(graph, start)", "The number of edges on the shortest way to each vertex."),
    "tree_distances": (
        "tree_distances(parents, graph, start)",
        "The number of edges to each vertex in a tree, given by the parent of each vertex.",
    ),
}
"""How functions are written, and what they are."""

DOMAINS: Mapping[str, str] = {
    "digit": "0..9 or blank",
    "bit": "0..1 or blank",
    "letter": 'one of "a" to "z", or blank',
    "place": "Columns, or blank: where a pointer was, saved with SAVE and gone to with FOLLOW.",
    "pointer": "Any pointer of the world.",
    "direction": "LEFT or RIGHT.",
}

ACTIONS: Mapping[str, str] = {
    **{action.name: action.doc for action in TABLE},
    "left": "A pointer that starts at the left end.",
    "right": "A pointer that starts at the right end.",
}

BODY_FUNCTIONS = ("first", "last", *ORDER)
"""Functions of program bodies; all others are of tasks."""
