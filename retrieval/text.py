"""Text → lexemes, the same for tools and prompts, in any script. Pure.

A lexeme depends on its word alone, never on the text around it, so that a prompt and a tool always meet: Latin words
are folded to ASCII and stemmed as English (harmless elsewhere, because it happens on both sides), words of other
scripts keep their form, scripts that put no spaces between words are cut into bigrams.
"""

import re
import threading
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

import Stemmer

from retrieval.stopwords import ENGLISH_STOP_WORDS, FOREIGN_FUNCTION_WORDS

# The dimension of pgvector's sparse vectors may not exceed this (SPARSEVEC_MAX_DIM).
LEXEME_SPACE: Final = 1_000_000_000
_SHORT = 48  # characters: a name, not a description
MAX_PROMPT = 20_000  # characters; a prompt says what it wants in fewer
MAX_TERMS = 256
MAX_WORD = 64  # longer runs are base64, hashes, generated noise

# Han, Kana, Hangul, Thai, Lao, Tibetan, Burmese, Khmer: a run of letters is not a word.
_UNSPACED = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
)
# Vowel signs are no letters to `re`, yet part of a word.
_MARKS = re.escape(
    "".join(
        chr(code)
        for first, last in ((0x0300, 0x0E00), (0x1700, 0x1B00), (0xA800, 0xAC00))
        for code in range(first, last)
        if unicodedata.category(chr(code)).startswith("M")
    )
)
_WORD = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<digits>\d+)|(?P<letters>(?:(?![{_UNSPACED}])[^\W\d_][{_MARKS}\u200c\u200d]*)+)"
)
_ASCII_WORD = re.compile(r"[0-9]+|[a-z]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Only after Latin and Greek letters: to other scripts a mark is a letter of its own (й is not и).
_ACCENTS = re.compile(r"(?<=[A-Za-z\u0370-\u03ff])[\u0300-\u036f]+")
_UNDECOMPOSED = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d"})

_local = threading.local()


def lexemes(text: str) -> list[str]:
    """The lexemes of `text` in order, with repeats. camelCase, snake_case and paths fall into words."""
    return list(_known_lexemes(text)) if len(text) <= _SHORT else _lexemes(text)


@lru_cache(maxsize=32_768)
def _known_lexemes(text: str) -> Sequence[str]:
    """Names of parameters and results come again and again in a catalog."""
    return tuple(_lexemes(text))


def _lexemes(text: str) -> list[str]:
    words = list(_words(text))
    stop = ENGLISH_STOP_WORDS if _may_be_english(words) else frozenset[str]()
    return [lexeme for word in words if word not in stop and (lexeme := _lexeme(word))]


def terms_of(text: str) -> dict[str, float]:
    """Lexeme → weight (> 0) in a query: each counts once, however often the prompt repeats it; the first MAX_TERMS.

    A text of nothing but stop words, or of single letters, gives them rather than nothing.
    """
    text = unicodedata.normalize("NFKC", text[:MAX_PROMPT])[:MAX_PROMPT]  # a letter may stand for a phrase
    found = lexemes(text) or [_lexeme(word) or word[:MAX_WORD] for word in _words(text)]
    return dict.fromkeys(islice(dict.fromkeys(found), MAX_TERMS), 1.0)


def lexeme_id(lexeme: str) -> int:
    """A stable number in [0, LEXEME_SPACE): the lexeme's dimension in a sparse vector. Collisions are rare, not absent:
    about five pairs among 100,000 lexemes."""
    return zlib.crc32(lexeme.encode("utf-8", "surrogatepass")) % LEXEME_SPACE


def _words(text: str) -> Iterator[str]:
    """Case-folded words without accents, and bigrams of unspaced scripts."""
    if text.isascii():  # what `_WORD` finds in such a text, in a tenth of its time
        yield from _ASCII_WORD.findall(_CAMEL.sub(" ", text).lower())
        return
    text = unicodedata.normalize("NFKC", text)
    for match in _WORD.finditer(_CAMEL.sub(" ", text)):
        word = match[0]
        if match.lastgroup == "unspaced":
            yield from (word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        elif word.isascii():
            yield word.lower()
        else:
            folded = _ACCENTS.sub("", unicodedata.normalize("NFKD", word.casefold()))
            yield unicodedata.normalize("NFC", folded).translate(_UNDECOMPOSED)


def _may_be_english(words: list[str]) -> bool:
    """English unless function words of another language outnumber it: stop words of one language are words of another
    (German `was`, Italian `come`)."""
    english = sum(word in ENGLISH_STOP_WORDS for word in words)
    foreign = sum(word in FOREIGN_FUNCTION_WORDS for word in words)
    return foreign <= english


@lru_cache(maxsize=65_536)
def _lexeme(word: str) -> str:
    """'' for what says nothing: single letters and digits of spaced scripts, generated noise."""
    if len(word) > MAX_WORD or (word.isascii() and len(word) < 2):
        return ""
    return _stem(word) if word.isascii() else word


def _stem(word: str) -> str:
    """Porter2 (Snowball). A stemmer serves one thread at a time, so each thread has its own."""
    stemmer: Stemmer.Stemmer | None = getattr(_local, "stemmer", None)
    if stemmer is None:
        stemmer = _local.stemmer = Stemmer.Stemmer("english")
    stem: str = stemmer.stemWord(word)
    return stem
