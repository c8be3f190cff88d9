"""The kinds of mistakes: a code that never changes, a title, and what lies behind it.

A new kind gets a new code; the code of a kind that is gone is not used again. ``docs/errors.md`` shows each with a
wrong file, what is printed, and the fixed file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of mistake or, from ``NPI200`` on, of warning.

    Attributes:
        rests_on_world: whether it can follow from a row or pointer that could not be declared.
    """

    code: str
    title: str
    explanation: str
    rests_on_world: bool

    @property
    def warning(self) -> bool:
        return self.code >= "NPI200"


TABLE = """
# Text
NPI001 tab in the indentation
    Blocks are marked by spaces. How far a tab reaches differs from editor to editor, so none may stand there.
NPI002 a line indented too deep
    Only a line that ends in a colon opens a block; the next line must otherwise begin where the one before it
    does.
NPI003 an indentation that fits no block
    A line that goes back must go back exactly to where an open block begins.
NPI004 a bracket that is not closed
    A bracket may stay open over several lines, so what follows it is read as its contents.
NPI005 a quoted text that does not end
    A quoted symbol or description ends in the line in which it begins.
NPI006 a character that means nothing
    The language has letters, digits, quotes, brackets, commas, points, colons and the operators + - * = < > !;
    a remark begins with #.
NPI007 a mistyped word at the beginning of a line
    Most lines begin with a word of the language; this one begins with something close to one.
NPI008 something unexpected
    What stands here cannot follow what stands before it; the fix lists what can.
NPI009 a number that is too long
    Numbers in a text are sizes, symbols and constants. Inputs of tasks can be of any length; they are not
    written in the file.
NPI010 a missing colon
    Lines that open a block (world, program, task, if, elif, else, while, for) end in a colon.
NPI011 an empty block
    A line that opens a block needs at least one indented line after it.
NPI012 = in place of ==
    A single = lays out a row in a task. Conditions compare with ==.
NPI013 chained comparisons
    A comparison has two sides.
NPI014 a statement outside any program
    At the margin stand only use, world, program and task.
NPI015 text after a call
    A line holds one call; arguments stand in brackets behind its name.
NPI016 a value that is set
    Programs have no variables: what they keep, they write to cells of the pad.
NPI017 a program without a name
    Programs are called by their names.
NPI018 a world without a kind
    A world says of which kind it is.
NPI019 a row without symbols
    A row says which symbols its cells can hold: the core sees one case for each.
NPI020 an input without a kind
    A task draws its inputs, so it must know what they can be.
NPI021 a parameter without a domain
    A parameter says what it can be: the core sees it as an argument.
NPI022 a signal and a body
    A program is shown how by a body or told how well by a signal, not both.
NPI023 else if
    A second condition of an if begins with elif.
NPI024 nested too deep
    A condition has at most 100 operators inside one another, and blocks lie at most 40 deep; each elif counts as
    one more.
# Files
NPI030 use in a text that is in no folder
    Used files are looked for beside the file itself.
NPI031 a used file outside the folder
    A program set is a folder that can be copied: its files lie beside the top file or below it.
NPI032 a used file that is not there
    The path is relative to the file in which it stands.
NPI033 files that use each other
    Each file must be complete with what it uses.
NPI034 a file used twice
    Once is enough.
NPI035 two files of one name
    A file's name qualifies its programs (addition.ADD), so it must be the only one of its name.
NPI036 a used file that cannot be read
    Program files are UTF-8 text.
# World
NPI040 no world
    Programs act in a world; a file declares one or uses a file that does.
NPI041 a second world
    All programs of a file and of those that it uses share one world.
NPI042 an unknown kind of world
    Kinds of worlds are registered with the engine.
NPI044* a world that cannot be made
    The world refuses its settings or names, or has rows that its kind does not know.
NPI045 a setting of a scratch pad
    A scratch pad is described by its rows and pointers.
NPI046* a scratch pad without rows
    A pad holds at least one row.
NPI047* a row of nothing but blanks
    Cells must be able to hold something; places stand alone in their row.
NPI048* a pointer, order or jump that fits nothing
    A pointer stands on a declared row, an order is of declared pointers, a jump is one that pads have.
NPI049 a start on a row whose pointers have their own
    Where pointers are declared for a row, each says where it starts.
NPI050 an unknown start
    Pointers start at the left or the right end of what is laid out.
NPI051 a counter on an endless row
    A counter shows only whether it stands at an end, and a row with blanks has none.
NPI052 a pointer named like a symbol or an action
    In a call nobody could tell which is meant.
NPI053 a name declared twice
    Each row, pointer, program, parameter, input and task has a name of its own.
NPI054 an unknown domain
    Domains are digit, bit, letter, ranges and quoted symbols, joined by or.
NPI055 an empty range
    Ranges ascend and hold both ends.
NPI056 a huge range
    Each symbol is a case that the core must see. Larger numbers are rows of digits.
NPI057 a word of the language as a name
    These words mean something wherever they stand.
# Programs
NPI060 a program named like a primitive
    Primitives are what the world does; a program cannot replace one.
NPI061 too many parameters
    A call carries three arguments (Reed & de Freitas 2016, section 3.1).
NPI063* a parameter of two kinds
    A parameter is a pointer, a direction or a symbol throughout.
NPI064* a parameter outside the world's symbols
    An argument is one of the world's symbols, or a pointer where the world has some.
NPI065 a name that hides another
    Parameters and loop variables may not have the name of a pointer, an action or each other.
NPI066 an unknown program
    What is called is a program of this file, of a file that it uses, or a primitive.
NPI067 a name that two files give
    Programs of different files may have one name; a call then says whose.
NPI068 an unknown pointer or parameter
    Bodies read pointers of the world and the program's own parameters.
NPI069* a row in place of a pointer
    Where pointers are declared for a row, the row itself has none of its name.
NPI070 a program in place of a value
    Programs return nothing; what they find out they write to the pad.
NPI071 an unknown function in a body
    Bodies see what the world shows: cells, ends, and the order of pointers.
NPI072 a wrong number of arguments
    A call gives as many arguments as the program has parameters.
NPI073* an argument outside its parameter's domain
    The argument can never be what the parameter allows.
NPI074* an argument that can leave its domain
    For some observation the value is not among those that the parameter allows. All combinations of what the
    expression reads were tried; the message names one for which it fails.
NPI075* an act that the world cannot carry out
    For some observation the act writes what the row cannot hold, swaps between rows, or takes an argument too
    many.
NPI076 a condition as an argument
    Arguments are pointers, actions and symbols.
NPI077* a symbol that no cell can hold
    Only symbols of the world's rows can be compared or written.
NPI078* a counter's cell
    The world does not show the cell under a counter, so the core cannot see it either.
NPI079* something that is not a pointer
    first, last and the order of pointers are asked of pointers.
NPI080* something that the world does not show
    Endless rows have no ends, and the order of two pointers is shown where the world declares it.
NPI081* a comparison of different kinds
    Cells are compared with cells or symbols, numbers with numbers.
NPI082* a comparison that never holds
    The two sides have no symbol in common.
NPI083* a choice of different kinds
    Both sides of if and else are of one kind.
NPI084* something else in place of a number
    Arithmetic is done on numbers and on cells that hold numbers.
NPI085* a symbol that is not a number
    Symbols such as brackets have no value.
NPI086* something else in place of a condition
    A condition is a comparison, an end, or a cell that can be blank.
NPI087* a cell that is never blank
    A pointer as a condition asks whether its cell is not blank. On a row without blanks that is always so.
NPI088 a list in a body
    Bodies look at the world through pointers, a cell at a time.
NPI089 a number that is too large
    Numbers in bodies stay below 2147483648, so that every value can be tabulated.
NPI090* a division by zero
    For some observation the divisor is zero; a blank counts 0.
NPI091 a loop that calls nothing
    Only calls change the world. What this loop asks stays as it is.
NPI092* a round without a call
    For some observation a round of the loop calls nothing, so the next one sees the same and the loop never
    ends.
NPI093 a statement that is never reached
    The program has returned before.
NPI094* a for loop over what is not known
    A for loop is written out when the file is read, once for each name.
NPI095* a body in too many variants
    A cell read through a parameter needs a table for each pointer that it can be.
NPI096* a decision that reads too much
    A decision is a table over all that it reads.
# Tasks
NPI100 a task that runs no program, or several
    A task runs one program.
NPI101 a task that expects nothing
    What a task expects is worked out apart from the program, and judges its runs.
NPI102 a task that runs a primitive
    Tasks run programs.
NPI103 a base that is none
    Numbers have bases from 2 to 36.
NPI104* an input named like a row or a pointer
    In an expectation nobody could tell which is meant.
NPI105* an unknown row
    Tasks lay out rows of the world.
NPI106 a row laid out twice
    Each row is laid out once.
NPI107* something that is not a row's content
    Rows hold lists of symbols; digits(n) is the list of a number's digits.
NPI108* an argument that the program does not take
    A task hands the program pointers, words or symbols that its parameters allow.
NPI109 two lines of sizes
    All sizes for training stand in one line, as do those for testing.
NPI110 sizes of what has none
    Only numbers and lists have sizes.
NPI111 digits of a list
    Numbers are counted in digits, lists in items.
NPI112 sizes that are not said
    A line of sizes names all inputs that have one.
NPI113 sizes that are none
    Sizes begin at 1 and ascend.
NPI114 something of another kind
    An expression of a task does not have the kind that its place needs.
NPI115* a comparison of different kinds in a task
    Lists are compared with lists, numbers with numbers.
NPI116* a result that is not there yet
    What lies on the pad is known after the run; only expectations can ask for it.
NPI117* a pointer as a value of a task
    A task asks for the cell under a pointer, or for its column.
NPI118* an unknown input or row
    Expressions of tasks know the inputs, and after the run the rows.
NPI119 an unknown function in a task
    Tasks have a small set of pure functions.
NPI120 a wrong number of values
    The function takes another number of values.
NPI121* a function of something that is not there
    These functions take the name of a row or of a pointer.
NPI122 sizes without bounds
    Problems of each size are drawn and run: a size is at most 1,000,000, and a line has at most 10,000.
# Warnings
NPI200 a program that nothing uses
    Nothing calls it and no task runs it, so it will have no traces to be learned from.
NPI201 a condition that decides nothing
    All combinations of what is read before the next call were tried: none satisfies the condition, or all do.
NPI202 a loop that may not end
    Once entered, nothing that the loop calls, near or far, changes what its condition asks for.
NPI203 a program that no task reaches
    It is called, but only by programs that no task runs, so it will have no traces.
NPI204 symbols that are never there
    The row can hold symbols that no task lays out and no program writes. Each symbol is a case that the core
    sees and never meets.
"""
"""A code and a title, then indented the explanation; a star marks the kinds that rest on the world."""


def read_table(table: str) -> Iterator[Kind]:
    """The kinds of :data:`TABLE`."""
    for entry in table.replace("\n    ", "\t").splitlines():
        if entry and not entry.startswith("#"):
            head, *explanation = entry.split("\t")
            code, _, title = head.partition(" ")
            yield Kind(code.removesuffix("*"), title, " ".join(explanation), code.endswith("*"))


KINDS: Mapping[str, Kind] = {kind.code: kind for kind in read_table(TABLE)}
"""Every kind, by code."""

RESTS_ON_WORLD = frozenset(kind.code for kind in KINDS.values() if kind.rests_on_world)
