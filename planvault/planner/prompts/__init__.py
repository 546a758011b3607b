"""The planner's prompts: versioned files, never edited once released. A change is a new file with a higher version."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from string import Template

from models.plans import PlannerMode

# What is sent today. The mode's version is stored with every plan.
CURRENT = {PlannerMode.STRUCTURED_JSON: "structured_json.v1", PlannerMode.PYTHON_DSL: "python_dsl.v1"}
REQUEST = "request.v1"
REPAIR = "repair.v1"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One file: `NAME.vN.md`, with `${placeholders}`."""

    version: str
    template: Template

    def fill(self, **values: str) -> str:
        """Raises KeyError for a placeholder without a value: a prompt with holes is a bug of ours."""
        return self.template.substitute(values).strip() + "\n"


@lru_cache(maxsize=16)
def load_prompt(version: str) -> Prompt:
    text = (files(__name__) / f"{version}.md").read_text(encoding="utf-8")
    return Prompt(version, Template(text))
