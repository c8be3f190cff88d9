"""Omniglot's background set as one packed file: 105 x 105 pixels of one bit, and the number of each drawing.

The file is a NumPy archive (``.npz``) of two arrays: ``image_id``, 20 · (character − 1) + drawer with characters 1 to
964 in the published order and drawers 1 to 20, and ``bits``, the pixels of each drawing by ``numpy.packbits``, 1 = ink.
Data: Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept learning through probabilistic program induction".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.images.drawings import Drawings
from envs.images.resizing import check_size, resized
from envs.support.array_files import read_arrays

SIDE = 105
DRAWERS = 20
BYTES = (SIDE**2 + 7) // 8
"""Of the packed pixels of a drawing."""

ALPHABETS = (
    ("Arcadian", 26),
    ("Armenian", 41),
    ("Asomtavruli_(Georgian)", 40),
    ("Balinese", 24),
    ("Bengali", 46),
    ("Blackfoot_(Canadian_Aboriginal_Syllabics)", 14),
    ("Braille", 26),
    ("Cyrillic", 33),
    ("Early_Aramaic", 22),
    ("Syriac_(Estrangelo)", 23),
    ("Anglo-Saxon_Futhorc", 29),
    ("Futurama", 26),
    ("Grantha", 43),
    ("Greek", 24),
    ("Gujarati", 48),
    ("Hebrew", 22),
    ("Japanese_(hiragana)", 52),
    ("Inuktitut_(Canadian_Aboriginal_Syllabics)", 16),
    ("Malay_(Jawi_-_Arabic)", 40),
    ("Japanese_(katakana)", 47),
    ("Korean", 40),
    ("Latin", 26),
    ("Alphabet_of_the_Magi", 20),
    ("Mkhedruli_(Georgian)", 41),
    ("Burmese_(Myanmar)", 34),
    ("N_Ko", 33),
    ("Ojibwe_(Canadian_Aboriginal_Syllabics)", 14),
    ("Sanskrit", 42),
    ("Tagalog", 17),
    ("Tifinagh", 55),
)
"""Alphabets in the order of their characters' numbers, named as the published folders are, and how many characters each
has."""

CHARACTERS = sum(count for _, count in ALPHABETS)

PACKED_BYTES = 64 << 20
"""Of the file, and of each array in it."""


def packed(path: Path | str, size: int = 32) -> Drawings:
    """The drawings of a packed file, each alphabet a group, at ``size`` x ``size`` pixels.

    Drawers are numbered from 0, characters of an alphabet ``character01`` and so on, as published. Characters and
    alphabets of which the file has no drawing are left out.

    Raises:
        ValueError: for a file that is not of this form; it names the file and says why.
        OSError: where it cannot be read.
    """
    check_size(size)
    arrays = read_arrays(path, PACKED_BYTES)
    number_N = _checked(path, arrays).astype(np.int64) - 1
    ink_NMM = np.unpackbits(arrays["bits"], axis=1, count=SIDE**2).reshape(-1, SIDE, SIDE)
    picture_NSS = resized(ink_NMM * np.uint8(255), size)
    there_C, class_N = np.unique(number_N // DRAWERS, return_inverse=True)
    first_G = np.cumsum([0] + [count for _, count in ALPHABETS])
    alphabet_C = np.searchsorted(first_G, there_C, "right") - 1
    there_G, group_C = np.unique(alphabet_C, return_inverse=True)
    return Drawings(
        picture_NSS,
        class_N,
        number_N % DRAWERS,
        group_C,
        tuple(f"character{number:02}" for number in there_C - first_G[alphabet_C] + 1),
        tuple(ALPHABETS[number][0] for number in there_G),
    )


def _checked(path: Path | str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The numbers of the drawings, once arrays are of the declared form."""
    if set(arrays) != {"image_id", "bits"}:
        raise ValueError(f"{path}: arrays {', '.join(sorted(arrays)) or 'none'}; expected image_id and bits")
    id_N, bits_NB = arrays["image_id"], arrays["bits"]
    if id_N.ndim != 1 or id_N.dtype.kind not in "iu" or not len(id_N):
        raise ValueError(f"{path}: image_id is {id_N.dtype} {id_N.shape}; expected integers, one a drawing")
    if bits_NB.dtype != np.uint8 or bits_NB.shape != (len(id_N), BYTES):
        raise ValueError(f"{path}: bits is {bits_NB.dtype} {bits_NB.shape}; expected uint8 {(len(id_N), BYTES)}")
    if not 1 <= id_N.min() <= id_N.max() <= CHARACTERS * DRAWERS:
        raise ValueError(
            f"{path}: image_id is {id_N.min()} to {id_N.max()}; expected 1 to {CHARACTERS * DRAWERS:,}, that is "
            f"{DRAWERS} · (character − 1) + drawer"
        )
    if len(np.unique(id_N)) < len(id_N):
        raise ValueError(f"{path}: a number in image_id is there twice; expected each drawing once")
    return id_N
