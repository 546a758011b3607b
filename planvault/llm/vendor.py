"""LiteLLM, imported when a model is first needed: it costs seconds and about 150 MB, and without a model nobody pays.

Everything in it that would call home, print, or repeat a request on its own is off.
"""

import os
from functools import lru_cache
from types import ModuleType
from typing import Final

# Read by LiteLLM while it is being imported; each would otherwise fetch a file from the internet.
_OFFLINE: Final = (
    "LITELLM_LOCAL_MODEL_COST_MAP",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS",
    "LITELLM_LOCAL_BLOG_POSTS",
    "LITELLM_LOCAL_POLICY_TEMPLATES",
)


@lru_cache(maxsize=1)
def load_litellm() -> ModuleType:
    """The configured module. Blocks for seconds the first time: call it off the event loop."""
    for variable in _OFFLINE:
        os.environ[variable] = "True"
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True
    # Plain httpx: the aiohttp transport re-sends a request whose reused connection was dropped.
    litellm.disable_aiohttp_transport = True
    litellm.num_retries = 0
    litellm.callbacks = []
    return litellm
