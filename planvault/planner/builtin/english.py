"""The word lists of `english.toml`, read once."""

import tomllib
from importlib.resources import files
from typing import cast

Words = frozenset[str]

_DATA = tomllib.loads((files(__package__) / "english.toml").read_text(encoding="utf-8"))


def words_of(section: str, name: str) -> Words:
    """One list of a section, as a set. Raises KeyError for a list that is not there."""
    return frozenset(cast("dict[str, str]", _DATA[section])[name].split())


def lists_of(section: str) -> dict[str, Words]:
    return {name: words_of(section, name) for name in _DATA[section]}


STOP_WORDS: Words = frozenset(_DATA["stop"].split())
GENERIC: Words = frozenset(_DATA["generic"].split())
SYNONYMS: tuple[tuple[str, ...], ...] = tuple(tuple(line.split()) for line in _DATA["synonyms"])
MONTHS: tuple[str, ...] = tuple(_DATA["months"].split())  # in order
