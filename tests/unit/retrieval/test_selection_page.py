"""docs/tool-selection.md states the settings as they are."""

import re
from enum import Enum
from pathlib import Path

from pydantic.alias_generators import to_camel

from models.retrieval import RankingWeights, RetrievalSettings

PAGE = Path(__file__).parents[3] / "docs" / "tool-selection.md"


def test_the_page_lists_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for name, field in RetrievalSettings.model_fields.items():
        default = field.default
        if isinstance(default, RankingWeights):
            assert {*default.model_dump().values()} == {float(rows["weights"].split()[0])}
            continue
        text = default.value if isinstance(default, Enum) else str(default).lower()
        assert rows[to_camel(name)] == text, name


def test_the_page_names_every_weight() -> None:
    line = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `weights`"))
    names = re.sub(r"\([^)]*\)", "", line)  # in brackets: the contributions that a weight covers besides its own
    assert {*re.findall(r"`(\w+)`", names)} == {"weights", *RankingWeights.model_fields}
