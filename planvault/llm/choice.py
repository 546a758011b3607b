"""Which model plans, from the settings and the vendors' own environment variables. None of it: no model.

Order: the base URL, then the named model, then the first vendor key that is set.

| variable | model planned with |
|---|---|
| `PLANVAULT_LLM_BASE_URL` (or `OPENAI_BASE_URL`, `OPENAI_API_BASE`) | `PLANVAULT_LLM_MODEL`, else the server's first |
| `PLANVAULT_LLM_MODEL` | that LiteLLM name, with `PLANVAULT_LLM_API_KEY` or the vendor's variable |
| one of `VENDOR_DEFAULTS` | its default below |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from planvault.settings import Settings

# A current, inexpensive model of each vendor with strict structured output; first key found wins.
VENDOR_DEFAULTS: tuple[tuple[str, str], ...] = (
    ("OPENAI_API_KEY", "openai/gpt-5.4-mini"),
    ("ANTHROPIC_API_KEY", "anthropic/claude-sonnet-5"),
    ("GEMINI_API_KEY", "gemini/gemini-3.5-flash"),
    ("MISTRAL_API_KEY", "mistral/mistral-medium-latest"),
    ("DEEPSEEK_API_KEY", "deepseek/deepseek-chat"),
    ("XAI_API_KEY", "xai/grok-4.5"),
    ("GROQ_API_KEY", "groq/openai/gpt-oss-120b"),
    ("CEREBRAS_API_KEY", "cerebras/gpt-oss-120b"),
    ("TOGETHERAI_API_KEY", "together_ai/openai/gpt-oss-120b"),
)
_BASE_URL_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, or a server to ask for one (`model` empty). An empty key means the vendor's own variable."""

    model: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)


def choose_model(settings: Settings, environ: Mapping[str, str]) -> ModelChoice | None:
    """The model that the platform plans with, or None for the built-in planner."""
    base_url = settings.llm_base_url or next((environ[name] for name in _BASE_URL_VARIABLES if environ.get(name)), "")
    key = settings.llm_api_key
    if base_url and not _is_openai(base_url):
        return ModelChoice(settings.llm_model, versioned(base_url), key or environ.get("OPENAI_API_KEY", ""))
    if settings.llm_model:
        return ModelChoice(settings.llm_model, "", key)
    if key and base_url:  # OpenAI itself, spelled out
        return ModelChoice(VENDOR_DEFAULTS[0][1], "", key)
    for variable, model in VENDOR_DEFAULTS:
        if environ.get(variable):
            return ModelChoice(model)
    return None


def versioned(base_url: str) -> str:
    """`http://host:8000` means `http://host:8000/v1`; a path that is given is kept."""
    trimmed = base_url.rstrip("/")
    return trimmed if urlsplit(trimmed).path else f"{trimmed}/v1"


def _is_openai(base_url: str) -> bool:
    return urlsplit(base_url).hostname == "api.openai.com"
