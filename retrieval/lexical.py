"""BM25 over the fields of a tool, with document weights that do not depend on the other documents. Pure.

BM25F (Robertson, Zaragoza, Taylor, CIKM 2004): the frequencies of a lexeme in the fields are weighted and added, then
saturated once. The average length is a constant: with a living average every import would change every weight. What is
left to the index is the inverse document frequency, which `inverse_document_frequency` gives.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Final

from models.tools import HttpBinding, Tool, ToolParam
from retrieval.text import lexemes

# What a word says by the field it stands in; the only place for these numbers.
NAME: Final = 2.0
GROUP: Final = 1.5
PATH: Final = 1.0
DESCRIPTION: Final = 1.0
PARAMETER_NAME: Final = 0.7
PARAMETER_DESCRIPTION: Final = 0.3
ENUM_VALUE: Final = 0.3

# Saturation and length normalisation of BM25, and the weighted length of a typical tool.
K1: Final = 1.2
B: Final = 0.75
TYPICAL_LENGTH: Final = 30.0

# Bounds of what is read: no tool may fill the index, whatever its document says.
MAX_TEXT = 2_000
MAX_PARAMETERS = 48
MAX_PARAMETER_TEXT = 100
MAX_ENUM_VALUES = 12
MAX_LEXEMES = 400


def impacts_of(tool: Tool) -> dict[str, float]:
    """Lexeme → saturated weight in (0, 1), at most MAX_LEXEMES of them, the heaviest."""
    frequencies: defaultdict[str, float] = defaultdict(float)
    for text, weight in _fields(tool):
        for lexeme in lexemes(text):
            frequencies[lexeme] += weight
    length = sum(frequencies.values())
    floor = K1 * (1 - B + B * length / TYPICAL_LENGTH)
    heaviest = sorted(frequencies.items(), key=lambda item: (-item[1], item[0]))[:MAX_LEXEMES]
    return {lexeme: frequency / (frequency + floor) for lexeme, frequency in heaviest}


def inverse_document_frequency(documents: int, holding: int) -> float:
    """How much a lexeme tells that `holding` of `documents` documents hold; > 0 also where all do."""
    holding = min(holding, documents)
    return math.log(1 + (documents - holding + 0.5) / (holding + 0.5))


def _fields(tool: Tool) -> Iterable[tuple[str, float]]:
    yield tool.name, NAME
    yield tool.group, GROUP
    if isinstance(tool.binding, HttpBinding):
        yield tool.binding.path, PATH
    summary, description = tool.summary[:MAX_TEXT], tool.description[:MAX_TEXT]
    yield "" if description.startswith(summary) else summary, DESCRIPTION
    yield description, DESCRIPTION
    for param in tool.params[:MAX_PARAMETERS]:
        yield param.name, PARAMETER_NAME
        yield param.description[:MAX_PARAMETER_TEXT], PARAMETER_DESCRIPTION
        yield " ".join(_enum_values(param)), ENUM_VALUE


def _enum_values(param: ToolParam) -> Iterable[str]:
    """The values that a parameter, or an item of it, may have, as far as they are words."""
    items = param.schema_.get("items")
    values = param.schema_.get("enum") or (items.get("enum") if isinstance(items, dict) else None)
    if not isinstance(values, list):
        return ()
    return (value[:MAX_PARAMETER_TEXT] for value in islice(values, MAX_ENUM_VALUES) if isinstance(value, str))
