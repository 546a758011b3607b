"""How values look in a prompt: one pattern a kind, from the most to the least particular."""

import re
from enum import StrEnum

from planvault.planner.builtin.english import MONTHS


class Kind(StrEnum):
    QUOTED = "quoted"
    EMAIL = "email"
    URL = "url"
    UUID = "uuid"
    DATE = "date"
    DATETIME = "datetime"
    CODE = "code"  # ORD-1001, cus_12, #77: letters or signs together with digits
    INTEGER = "integer"
    NUMBER = "number"
    NAME = "name"  # capitalised words
    TAIL = "tail"  # what follows `saying`, `called`, `named`, up to the clause's end
    PHRASE = "phrase"  # what follows `key =` or `key:`
    ORDINAL = "ordinal"  # `second season`: a position, 1-based


_MONTH = rf"(?:{'|'.join(f'{month}|{month[:3]}' for month in MONTHS)})\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
_QUOTES = (
    r"\"([^\"]{1,2000})\"",
    r"“([^”]{1,2000})”",
    r"«([^»]{1,2000})»",
    r"(?<!\w)['‘]([^'’]{1,2000})['’](?!\w)",  # an apostrophe inside a word opens nothing
    r"`([^`]{1,2000})`",
)
_DATES = (
    rf"\b{_ISO_DATE}\b",
    rf"\b{_MONTH} {_DAY},? \d{{4}}\b",
    rf"\b{_DAY} {_MONTH} \d{{4}}\b",
    r"\b(?:today|tomorrow|yesterday)\b",
)
_CODES = (
    r"#\w+",
    r"\b(?!top-)(?=[\w-]*\d)(?=[\w-]*[A-Za-z_-])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)+\b",
    r"\b(?=\w*\d)[A-Za-z]+\w*\b",
    r"\b\d+[A-Za-z]\w*\d\w*\b",
)
_NAME_WORD = r"[A-ZÀ-ÞА-Я][\w'’&.-]*"
_NAME_LINK = r"(?:\s+(?:of|the|de|van|von|la|&)){0,2}"

PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (Kind.QUOTED, re.compile("|".join(_QUOTES))),
    (Kind.URL, re.compile(r"\bhttps?://[^\s<>\"'”]+[^\s<>\"'”.,;:!?)]")),
    (Kind.EMAIL, re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (Kind.UUID, re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")),
    (Kind.DATETIME, re.compile(rf"\b{_ISO_DATE}[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:Z|[+-]\d{{2}}:\d{{2}})?")),
    (Kind.DATE, re.compile("|".join(_DATES), re.IGNORECASE)),
    (Kind.CODE, re.compile("|".join(_CODES))),
    (Kind.NUMBER, re.compile(r"(?<![\w.])-?\d+(?:,\d{3})+(?:\.\d+)?(?!\w)|(?<![\w.])-?\d+\.\d+(?![\w.]*\d)")),
    (Kind.INTEGER, re.compile(r"(?<![\w.])-?\d{1,18}(?!\w)(?!\.\d)")),
)
NAME = re.compile(rf"{_NAME_WORD}(?:{_NAME_LINK}\s+(?:{_NAME_WORD}|\d+\b(?!\.\d)))*")

# `key=value` and `key: value`; the key ends where the value begins.
KEYED = re.compile(r"(?<![\w/])([A-Za-z][\w.-]{0,60})\s*(?:=|:(?!//))\s*(?=\S)")
# Phrases that say which field the words behind them are.
_NAMING = (
    (r"(?:name|call) (?:it|them|this|him|her)(?: as)?", "name"),
    (r"title (?:it|them|this)(?: as)?", "title"),
    (r"rename [^.;\n]{1,60}? (?:to|as)", "name"),
    (r"named|called", "name"),
    (r"titled|entitled", "title"),
    (r"saying|that says", "message"),
    (r"with the (text|message|subject|title|name|body)", ""),
)
NAMING = tuple((re.compile(rf"\b{phrase}\s+", re.IGNORECASE), key) for phrase, key in _NAMING)
BARE = re.compile(r"[^\s,;]+")
TAIL = re.compile(r".+?(?=$|[;\n]|[.!?](?:\s|$)|,? and (?:then )?[a-z]+ )")
