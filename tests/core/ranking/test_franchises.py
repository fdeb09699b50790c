"""Titles of one series share a franchise; titles that only look alike do not."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.ranking.lists import franchise_numbers, franchise_of
from tests.core import embedded

TOGETHER = {
    "star wars": [
        "Star Wars: Episode IV - A New Hope",
        "Star Wars: Episode V - The Empire Strikes Back",
        "Star Wars: The Clone Wars",
    ],
    "godfather": ["Godfather, The", "Godfather: Part II, The", "Godfather: Part III, The"],
    "toy story": ["Toy Story", "Toy Story 2", "Toy Story 3"],
    "harry potter": [
        "Harry Potter and the Sorcerer's Stone (a.k.a. Harry Potter and the Philosopher's Stone)",
        "Harry Potter and the Deathly Hallows: Part 1",
    ],
    "lord of the rings": ["Lord of the Rings, The", "Lord of the Rings: The Two Towers, The"],
    "karate kid": ["Karate Kid, The", "Karate Kid, Part II, The"],
    "friday the 13th": ["Friday the 13th", "Friday the 13th Part 3: 3D", "Friday the 13th Part VIII: Jason"],
    "saw": ["Saw", "Saw V", "Saw VII 3D - The Final Chapter"],
    "alien": ["Alien", "Alien³ (a.k.a. Alien 3)", "Alien: Resurrection"],
    "naked gun": ["Naked Gun: From the Files of Police Squad!, The", "Naked Gun 33 1/3: The Final Insult"],
    "hunger games": ["The Hunger Games", "The Hunger Games: Mockingjay - Part 1"],
    "kill bill": ["Kill Bill: Vol. 1", "Kill Bill: Vol. 2"],
    "mission: impossible": ["Mission: Impossible", "Mission: Impossible II", "Mission: Impossible - Ghost Protocol"],
}  # fmt: skip

APART = [
    ("Mission: Impossible", "Mission, The"),
    ("Godfather, The", "Tokyo Godfathers"),
    ("Beauty and the Beast", "Beauty of the Day (Belle de jour)"),
    ("Airport 1975", "Airport"),
    ("Toy Story", "Story of Us, The"),
    ("Seven (a.k.a. Se7en)", "Seven Samurai (Shichinin no samurai)"),
]

MISSED = [("Alien", "Aliens"), ("Terminator, The", "Terminator Salvation"), ("X-Men", "X2: X-Men United")]
"""One franchise to us, two to the rules."""

JOINED = [("Super", "Super 8"), ("Henry V", "Henry: Portrait of a Serial Killer"), ("Hamlet", "Hamlet")]
"""Two to us, one to the rules."""


@pytest.mark.parametrize("franchise", TOGETHER)
def test_parts_of_a_series_share_its_name(franchise: str) -> None:
    assert {franchise_of(title) for title in TOGETHER[franchise]} == {franchise}


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_only_looks_alike_stays_apart(one: str, other: str) -> None:
    assert franchise_of(one) != franchise_of(other)


def test_what_the_rules_miss_and_join_is_known() -> None:
    assert [pair for pair in MISSED if franchise_of(pair[0]) == franchise_of(pair[1])] == []
    assert [pair for pair in JOINED if franchise_of(pair[0]) != franchise_of(pair[1])] == []


@pytest.mark.parametrize("title", ["9", "8 1/2 (8½)", "V", "(500) Days of Summer", "X", "2 Fast 2 Furious", "M", "A"])
def test_a_title_that_looks_like_a_number_keeps_a_name(title: str) -> None:
    assert franchise_of(title)


@given(st.text(max_size=60))
def test_every_text_has_a_franchise_and_no_text_a_longer_one(title: str) -> None:
    found = franchise_of(title)
    assert found == " ".join(found.split())
    assert bool(found) or not title.strip()


def test_movies_without_a_title_are_franchises_of_their_own() -> None:
    assert len(set(franchise_numbers(["", "", "Alien", ""]).tolist())) == 4


def test_the_shipped_titles_hold_some_hundred_franchises_and_no_giant() -> None:
    """A rule that cuts too much would join strangers; the largest was read, and is Star Trek with twelve."""
    titles: dict[str, list[str]] = defaultdict(list)
    for title in embedded.movies()["title"]:
        titles[franchise_of(title)].append(title)
    titles.pop("", None)
    several = {name: own for name, own in titles.items() if len(own) > 1}
    assert 500 < len(several) < 620
    assert max(several, key=lambda name: len(several[name])) == "star trek"
    assert max(map(len, several.values())) == 12
