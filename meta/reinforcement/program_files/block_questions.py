"""Program files with a program for each of some questions about four blocks.

A core that has met one question alone has nothing in its rows for another: it must be trained on many. Those of this
module are about some of the blocks; none is about all of them, and none compares blocks 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterable

from envs.physics.questions import Question, questions

BLOCKS = 4


def training_questions() -> list[Question]:
    """About two or three of the four blocks, but for both questions of places among blocks 1 and 2."""
    return [
        question
        for question in questions(BLOCKS)
        if 1 < len(question.members) < BLOCKS and not (question.of >= 0 and question.members == (0, 1))
    ]


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
