"""Which model plans follows from the environment alone."""

import os
import subprocess
import sys

import pytest

from planvault.llm.choice import VENDOR_DEFAULTS, ModelChoice, choose_model
from planvault.llm.vendor import load_litellm
from planvault.settings import Settings


def settings(model: str = "", base_url: str = "", key: str = "") -> Settings:
    return Settings(llm_model=model, llm_base_url=base_url, llm_api_key=key)


def test_nothing_set_means_no_model() -> None:
    assert choose_model(settings(), {}) is None


@pytest.mark.parametrize(("variable", "model"), VENDOR_DEFAULTS)
def test_a_vendor_key_alone_selects_that_vendors_default(variable: str, model: str) -> None:
    assert choose_model(settings(), {variable: "secret"}) == ModelChoice(model)


def test_a_named_model_wins_over_vendor_keys() -> None:
    chosen = choose_model(settings("mistral/mistral-large-latest", key="k"), {"OPENAI_API_KEY": "x"})
    assert chosen == ModelChoice("mistral/mistral-large-latest", "", "k")


def test_a_base_url_without_a_path_gets_the_version_of_the_protocol() -> None:
    assert choose_model(settings(base_url="http://host:8000/"), {}) == ModelChoice("", "http://host:8000/v1", "")
    assert choose_model(settings(base_url="http://host/api/v3"), {}) == ModelChoice("", "http://host/api/v3", "")


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_openais_own_variables_name_a_server(variable: str) -> None:
    chosen = choose_model(settings("llama"), {variable: "http://host:1/v1", "OPENAI_API_KEY": "k"})
    assert chosen == ModelChoice("llama", "http://host:1/v1", "k")


def test_openai_itself_as_base_url_is_the_vendor_and_not_an_unknown_server() -> None:
    chosen = choose_model(settings(), {"OPENAI_BASE_URL": "https://api.openai.com/v1", "OPENAI_API_KEY": "k"})
    assert chosen == ModelChoice(VENDOR_DEFAULTS[0][1])


def test_the_key_is_not_in_the_choices_representation() -> None:
    assert "hunter2" not in repr(ModelChoice("m", "http://h", "hunter2"))


@pytest.mark.parametrize("model", [model for _, model in VENDOR_DEFAULTS])
def test_every_default_is_a_chat_model_that_litellm_knows_to_keep_to_a_schema(model: str) -> None:
    litellm = load_litellm()
    assert litellm.get_model_info(model)["mode"] == "chat"
    assert litellm.supports_response_schema(model)


def test_importing_the_gateway_does_not_import_litellm() -> None:
    code = "import sys, planvault.llm.gateway, planvault.llm.choice; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_importing_litellm_touches_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network at import')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from planvault.llm.vendor import load_litellm; load_litellm()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "network at import" not in done.stderr
