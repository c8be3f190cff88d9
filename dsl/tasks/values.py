"""Values of tasks: natural numbers of any length as digits, symbols as numbers or words.

``int("…")`` refuses long numbers for good reasons (quadratic time), so long ones are halved here instead of lifting
the limit: 100,000 digits take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from dsl.names.worlds import number_of

Value = int | str | bool | tuple["Value", ...]
"""What an input, a row or an expression is worth; a symbol that stands for a number is that number."""

SHORT = 512
"""Digits that Python converts itself; below every limit that it can be set to."""


SHORT_NUMBER = 10**SHORT

_TO_TEXT = bytes(range(48, 58)) + bytes(246)
_FROM_TEXT = bytes(48) + bytes(range(10)) + bytes(198)
"""Digits as bytes ↔ as characters: both ways without an object for each."""


def symbol_value(symbol: str) -> int | str:
    """The number that a symbol stands for, else the symbol itself."""
    number = number_of(symbol)
    return symbol if number is None else number


def number_from_digits(digits: Sequence[int], base: int = 10) -> int:
    """The number that the digits write, most significant first."""
    if len(digits) <= SHORT:
        if base == 10:
            return int(bytes(digits).translate(_TO_TEXT) or b"0")
        number = 0
        for digit in digits:
            number = number * base + digit
        return number
    half = len(digits) // 2
    return number_from_digits(digits[:-half], base) * base**half + number_from_digits(digits[-half:], base)


def digits_of(number: int, base: int = 10) -> list[int]:
    """The digits of a natural number, most significant first; 0 has one digit."""
    if base == 10 and number < SHORT_NUMBER:
        return list(str(number).encode().translate(_FROM_TEXT))
    length = int(number.bit_length() * log(2) / log(base)) + 2
    digits = _padded_digits(number, base, length)
    first = next((i for i, digit in enumerate(digits) if digit), len(digits) - 1)
    return digits[first:]


def _padded_digits(number: int, base: int, length: int) -> list[int]:
    if length <= SHORT:
        if base == 10:
            return list(str(number).zfill(length).encode().translate(_FROM_TEXT))
        found = []
        for _ in range(length):
            number, digit = divmod(number, base)
            found.append(digit)
        return found[::-1]
    half = length // 2
    high, low = divmod(number, base**half)
    return _padded_digits(high, base, length - half) + _padded_digits(low, base, half)


def show(value: Value, *, limit: int = 200) -> str:
    """A value for people; a long one keeps its ends and says how long it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        words = [show(item, limit=limit) for item in value[: limit // 2]]
        more = [f"… ({len(value)} items)"] if len(value) > len(words) else []
        return f"[{', '.join([*words, *more])}]"
    if isinstance(value, str):
        return value
    text = ("-" if value < 0 else "") + "".join(map(str, digits_of(abs(value))))
    return text if len(text) <= limit else f"{text[:20]}…{text[-20:]} ({len(text)} digits)"
