"""Words of prompts and of tools, brought to one form so that they can be compared."""

import re
from collections.abc import Iterable
from functools import lru_cache

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TOKEN = re.compile(r"[^\W_]+(?:['’][a-z]+)?", re.UNICODE)

_SHORT = 100  # characters; names and paths, which come again and again, are remembered

STOP_WORDS = frozenset(
    """a an the this that these those it its them they their there here of in on at to for from by with without as is are
    was were be been being am do does did done has have had having can could would should shall will may might must i me
    my mine we us our you your he she his her him what which who whom whose when where why how and or but not no nor so
    than then also too very just please thanks thank hi hello hey some any all each every both more most other another
    such same own only into onto about over under after before between during out up down off again if else while because
    until via per many much named called titled entitled saying says say like want need wish let go going know see help hope looking using use used one ones s t ll re ve d m
    don didn doesn isn aren won first second third fourth fifth 1st 2nd 3rd today tomorrow yesterday""".split()
)

# Words that name no particular operation: they neither select a tool nor count against it.
GENERIC = frozenset(
    """get list fetch retrieve return returns show find search look lookup read give tell display view check query
    detail details info information data item items result results api endpoint v1 v2 v3 current given specific specified
    by id ids uuid value values object objects json request response operation resource record records entry entries
    available including include based new discover explore browse""".split()
)

# Pairs of everyday English, one group a line. Nothing here is taken from a benchmark's wording.
_SYNONYMS = (
    "customer client buyer shopper",
    "order purchase",
    "product article goods merchandise",
    "invoice bill",
    "user account member profile",
    "person people human",
    "employee staff worker",
    "message notification notify alert",
    "email mail e-mail",
    "image picture photo logo poster",
    "movie film",
    "song track",
    "artist singer band musician",
    "show series",
    "actor actress cast",
    "folder directory",
    "document doc file",
    "meeting appointment",
    "ticket issue",
    "comment remark",
    "company firm business organization organisation",
    "city town",
    "price cost",
    "stock inventory",
    "shipment delivery",
    "car vehicle",
    "picture photograph",
    "delete remove erase discard",
    "create add make",
    "update change modify edit",
    "cancel revoke",
    "pause halt",
    "similar alike resemble",
    "recommendation recommend suggest suggestion",
    "best top",
    "rated rating rate",
    "popular trending",
    "latest newest recent recently",
)


@lru_cache(maxsize=20_000)
def _split(text: str) -> tuple[str, ...]:
    found = (token for piece in _TOKEN.findall(text) for token in _CAMEL.split(piece))
    return tuple(re.sub(r"['’].*$", "", token).lower() for token in found)


def split(text: str) -> list[str]:
    """Lower-case words; `camelCase`, `snake_case` and paths come apart."""
    return list(_split(text) if len(text) <= _SHORT else _split.__wrapped__(text))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A light English stem: plurals, -ing, -ed. Wrong in the same way for both sides, which is all that matching needs."""
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


_CANON = {stem(word): stem(group.split()[0]) for group in _SYNONYMS for word in group.split()}
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
