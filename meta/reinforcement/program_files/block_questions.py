"""Program files with a program for each of some questions about four blocks.

A core that has met one question alone has nothing in its rows for another: it must be trained on many. Those of this
module leave out the ones that are to be learned beside the frozen core: which block has which place among all four, the
place of block 1 among all, and whatever is about blocks 1 and 2 alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from envs.physics.questions import HEAVY, Question, questions

BLOCKS = 4


def training_questions() -> list[Question]:
    """All questions by mass, but for those that are held out."""
    return [question for question in questions(BLOCKS) if question.name != HEAVY and not held_out(question)]


def held_out(question: Question) -> bool:
    """Whether a question is kept for rows beside the frozen core.

    "Heaviest of 1 2" has the answers of "place of 1 among 1 2", so all that is about these two blocks is left out.
    """
    if len(question.members) == BLOCKS:
        return question.place >= 0 or question.of == 0
    return question.members == (0, 1)


def program_file(asked: Iterable[Question], *, beta: int = 3, discount: float = 0.99) -> str:
    """The text; the program of the n-th question is ``Qn``."""
    parts = [f"world table is blocks(blocks: {BLOCKS})\n"]
    for number, question in enumerate(asked):
        parts.append(f"""
program Q{number} "Find out: {question.name}":
    maximise reward over 100 steps
    core "meta-rl"

task q{number}:
    BETA = ["{beta}"]
    DISCOUNT = ["{discount:g}"]
    QUESTION = ["{question.name}"]
    run Q{number}
    expect RIGHT == [1]
    train
    test
""")
    return "".join(parts)
