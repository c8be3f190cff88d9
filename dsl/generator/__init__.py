"""Random programs of the language that end on every pad, graded by size, no two of which behave alike."""

from __future__ import annotations

from dsl.generator.programs import size_of
from dsl.generator.sampling import GeneratedProgram, Tally, draw_file, draw_program, held_out, stream
from dsl.generator.vocabulary import Vocabulary, vocabulary_of

__all__ = [
    "GeneratedProgram",
    "Tally",
    "Vocabulary",
    "draw_file",
    "draw_program",
    "held_out",
    "size_of",
    "stream",
    "vocabulary_of",
]
