"""What a tool is to the index: a row that storage can keep, made of its definition alone."""

from collections import defaultdict
from typing import Final

from models.tools import Tool
from planvault.storage.tool_index import IndexRow
from retrieval.documents import index_entry
from retrieval.text import lexeme_id

# Raise it with every change of `index_entry` other than to the document: rows of before are then made anew.
ENTRY_REVISION: Final = 1


def index_row(tool: Tool) -> IndexRow:
    entry = index_entry(tool)
    impacts: defaultdict[int, float] = defaultdict(float)
    for lexeme, weight in entry.impacts.items():
        impacts[lexeme_id(lexeme)] += weight  # two lexemes of one number speak with one voice
    return IndexRow(
        tool_id=tool.id,
        version=tool.version,
        integration_id=tool.integration_id,
        name=tool.name,
        group=tool.group,
        document=entry.document,
        lexemes=tuple(entry.impacts),
        impacts=impacts,
        requires=entry.requires,
        produces=entry.produces,
        entry_revision=ENTRY_REVISION,
    )
