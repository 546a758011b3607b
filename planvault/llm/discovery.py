"""Asking an OpenAI-compatible server which models it has."""

import httpx

from planvault.errors import LlmFailed
from planvault.llm.failures import Redactor, without_keys


async def first_model(base_url: str, api_key: str, timeout_s: float, redact: Redactor) -> str:
    """The id of the first model of `GET {base_url}/models`. Raises LlmFailed."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    url = f"{base_url}/models"
    try:
        async with httpx.AsyncClient(timeout=timeout_s, headers=headers) as client:
            response = await client.get(url)
            response.raise_for_status()
            listed = response.json()["data"]
            name = listed[0]["id"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, IndexError, TypeError) as error:
        cause = without_keys(f"{type(error).__name__}: {error}", (api_key,), redact)
        raise LlmFailed(f"No model is named and {url} lists none: set PLANVAULT_LLM_MODEL. {cause}") from None
    if not isinstance(name, str) or not name:
        raise LlmFailed(f"No model is named and {url} lists none: set PLANVAULT_LLM_MODEL.")
    return name
