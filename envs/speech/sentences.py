"""Sentences to read aloud: English, generated from a small grammar, with all sounds of the language, and numbers."""

from __future__ import annotations

import numpy as np

PEOPLE = (
    "the old teacher|a young pilot|my neighbour|the captain|our doctor|a quiet farmer|the baker|her uncle|his sister|"
    "the judge|a famous singer|the engineer|a boy with red shoes|the girl next door|everyone in the office|"
    "two thirsty horses|a yellow bird|the thin grey cat|nobody|the queen|Matthew|Joyce|a measured voice|the choir"
).split("|")

ACTIONS = (
    "found|carried|washed|forgot|painted|measured|watched|moved|sold|borrowed|noticed|pushed|finished|opened|"
    "threw away|looked after|asked for|could not find|should have kept|often chooses|never touches|is going to fetch|"
    "thought about|described"
).split("|")

THINGS = (
    "the heavy box|a cup of hot tea|seven oranges|the blue garage|an unusual picture|the long ladder|some fresh fish|"
    "the village church|a wooden chair|their first house|the other bridge|a silver watch|those five keys|"
    "the kitchen table|a small green boat|the weather report|an empty jar of honey|three pairs of gloves|the zoo|"
    "a piece of yesterday's cheese|the vision of beauty|a bunch of roses|the noisy engine|thirteen judges"
).split("|")

PLACES = (
    "in the morning|near the harbour|before the storm|at half past nine|under the oak tree|behind the station|"
    "on the other side of the road|after a long voyage|without a word|during the winter|every Thursday|"
    "at the end of the corridor|because it was raining|while the music played|for no good reason|as usual|"
    "with both hands|in about an hour|before you arrived|over the hills|if you join us|through the fog"
).split("|")

REMARKS = (
    "Good morning|Thank you very much|Please wait a moment|I am not sure|That is enough|What a pleasure|Of course|"
    "You are quite right|How do you know|Never mind|Listen to this|Goodbye"
).split("|")

DIGITS = "zero one two three four five six seven eight nine".split()


def sentence(generator: np.random.Generator) -> str:
    """One sentence of some 2 to 5 seconds."""

    def one(words: list[str]) -> str:
        return str(words[generator.integers(len(words))])

    kind = generator.integers(10)
    if kind == 0:
        return "The number is " + " ".join(one(DIGITS) for _ in range(generator.integers(3, 7))) + "."
    if kind == 1:
        return f"{one(REMARKS)}. {one(DIGITS).capitalize()} plus {one(DIGITS)} makes {generator.integers(10, 1000)}."
    clause = f"{one(PEOPLE)} {one(ACTIONS)} {one(THINGS)} {one(PLACES)}"
    if kind == 2:
        return f"{one(REMARKS)}, {clause}."
    if kind == 3:
        return f"{one(PLACES).capitalize()}, {one(PEOPLE)} {one(ACTIONS)} {one(THINGS)}."
    return clause[0].upper() + clause[1:] + ("?" if kind == 4 else ".")
