"""Titles -> franchises: which movies are parts of one series, by their titles alone.

The data sets have no field for it, so that the rules are spelling rules. A title becomes the key of its franchise by
`RULES`, in this order. They miss what the spelling does not show ("Aliens", "Terminator Salvation", "X2: X-Men United",
"Ocean's Twelve"). They join remakes ("Batman" of 1966 and of 1989), and a few strangers whose key is one common word
("Super" and "Super 8"; "Henry V" and "Henry: Portrait of a Serial Killer").
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

import numpy as np

from recsys_core.arrays import Int64s

Rule = Callable[[str], str]

_ARTICLES = "The|An?|La|Le|Les|L'|Il|El|Los|Las|Das|Der|Die"
_ROMAN = "(?:X?(?:IX|IV|V?I{2,3}|VI?|X)|XI)"
"""2 to 20; a single "I" is more often the pronoun than the number."""
_NUMBER = rf"(?:1?[0-9]|[0-9]+ [0-9]/[0-9]|{_ROMAN})"
"""Up to 19, or with a fraction: a larger one is a year or part of a name ("Airport 1975", "Code 46")."""
_WORDS = "One|Two|Three|Four|Five|Six"
_PART = rf"(?:Part|Vol\.?|Volume|Chapter|Episode)\s+(?:{_NUMBER}|I|{_WORDS})"


def _replaced(pattern: str, by: str = "") -> Rule:
    compiled = re.compile(pattern)
    return lambda title: compiled.sub(by, title)


RULES: tuple[Rule, ...] = (
    _replaced(r"(?<=.)\s*\(.*$"),  # another title or a translation: "Amelie (Fabuleux destin d'Amélie Poulain, Le)"
    _replaced(rf",\s+(?:{_ARTICLES})$"),  # "Godfather, The"
    _replaced(r"^(?:The|An?)\s+(?=\S)"),  # "The Hunger Games"
    # The subtitle: "Star Wars: Episode IV - A New Hope". "Mission: Impossible" is a name with a colon in it.
    _replaced(r"(?<=\w)(?::\s(?!Impossible\b)|\s-\s).*$"),
    _replaced(r"^([A-Z][\w.'-]*(?:\s[A-Z][\w.'-]*)+)\s+and the\s.*$", r"\1"),  # a name: "Harry Potter and the ..."
    _replaced(r"(?<=\w)\s+3-?D$"),  # "Saw VII 3D"
    _replaced(rf"(?<=\w),?\s+{_PART}$"),  # "Karate Kid, Part II", "Friday the 13th Part VIII"
    _replaced(rf"(?<=\w)\s+{_NUMBER}$"),  # "Toy Story 2", "Rocky IV", "Naked Gun 33 1/3"
)


def franchise_of(title: str) -> str:
    """The franchise of a title without its year, in small letters; the title itself where nothing marks it as a part.

    >>> [franchise_of(title) for title in ("Star Wars: Episode IV - A New Hope", "Godfather: Part II, The")]
    ['star wars', 'godfather']
    >>> [franchise_of(title) for title in ("Toy Story 2", "Harry Potter and the Goblet of Fire", "8 1/2")]
    ['toy story', 'harry potter', '8 1/2']
    """
    # NFKC makes a plain 3 of the raised one in "Alien³", which would then stick to the word.
    key = unicodedata.normalize("NFKC", re.sub("([²³])", r" \1", title)).strip()
    for rule in RULES:
        key = rule(key)
    return " ".join(key.casefold().split())


def franchise_numbers(titles: Iterable[str]) -> Int64s:
    """(n,) a number per title, the same for titles of one franchise; a movie without a title is a franchise of its own.

    >>> franchise_numbers(["Alien", "Toy Story", "Alien: Resurrection", "", ""])
    array([0, 1, 0, 3, 4])
    """
    first: dict[str, int] = {}
    keys = [franchise_of(title) for title in titles]
    return np.array([first.setdefault(key, at) if key else at for at, key in enumerate(keys)], dtype=np.int64)
