"""Words of prompts and of tools, brought to one form so that they can be compared."""

import re
from collections.abc import Iterable
from functools import lru_cache

from planvault.planner.builtin.english import GENERIC, STOP_WORDS, SYNONYMS

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TOKEN = re.compile(r"[^\W_]+(?:['’][a-z]+)?", re.UNICODE)

_SHORT = 100  # characters; names and paths, which come again and again, are remembered


@lru_cache(maxsize=20_000)
def _split(text: str) -> tuple[str, ...]:
    found = (token for piece in _TOKEN.findall(text) for token in _CAMEL.split(piece))
    return tuple(re.sub(r"['’].*$", "", token).lower() for token in found)


def split(text: str) -> list[str]:
    """Lower-case words; `camelCase`, `snake_case` and paths come apart."""
    return list(_split(text) if len(text) <= _SHORT else _split.__wrapped__(text))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A light English stem: plurals, -ing, -ed. Often wrong, but in the same way for prompts and tools."""
    if len(word) <= 3 or not word.isascii():
        return word
    for ending, replacement, least in (("ies", "y", 5), ("sses", "ss", 6), ("xes", "x", 5), ("ches", "ch", 6)):
        if word.endswith(ending) and len(word) >= least:
            return word[: -len(ending)] + replacement
    if word.endswith("ing") and len(word) >= 6:
        return _undouble(word[:-3])
    if word.endswith("ed") and len(word) >= 5:
        return _undouble(word[:-2])
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) >= 4 else word


def _undouble(word: str) -> str:
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        return word[:-1]
    return word[:-1] if word.endswith("e") else word


_CANON = {stem(word): stem(group[0]) for group in SYNONYMS for word in group}
_GENERIC_STEMS = frozenset(stem(word) for word in GENERIC)


def canonical(word: str) -> str:
    """The stem, or that of the first word of its synonym group."""
    root = stem(word)
    return _CANON.get(root, root)


def content(words: Iterable[str]) -> list[str]:
    """Canonical forms of the words that carry meaning, in order, without repeats."""
    return list(dict.fromkeys(canonical(word) for word in words if word not in STOP_WORDS and len(word) > 1))


def is_generic(canon: str) -> bool:
    return canon in _GENERIC_STEMS


def is_plural(name: str) -> bool:
    """Whether a name ends in a plural, as far as its letters tell."""
    last = (split(name) or [""])[-1]
    return last.endswith("s") and not last.endswith(("ss", "us", "is"))
