"""What every process of the platform inherits."""

from pathlib import Path

from cluster.data_dir import DataDir
from cluster.environment import process_environment, urls_of


def made(inherited: dict[str, str]) -> dict[str, str]:
    data = DataDir(Path("/srv/pv"))
    return process_environment(
        inherited, data, database=urls_of("postgresql://x", "", ""), admin_token_sha256="ab", metric_port=1
    )


def test_nothing_phones_home() -> None:
    environment = made({"RAY_USAGE_STATS_ENABLED": "1", "HF_HUB_OFFLINE": "0"})
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_ray_asks_for_a_token_from_the_data_directory() -> None:
    environment = made({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "someone-elses"})
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == "/srv/pv/ray_token"
    assert "RAY_AUTH_TOKEN" not in environment


def test_another_clusters_address_is_not_inherited() -> None:
    assert "RAY_ADDRESS" not in made({"RAY_ADDRESS": "10.0.0.1:6379"})


def test_the_callers_own_settings_come_through() -> None:
    environment = made({"PLANVAULT_LLM_MODEL": "openai/x", "OPENAI_API_KEY": "k"})
    assert environment["PLANVAULT_LLM_MODEL"] == "openai/x"
    assert environment["OPENAI_API_KEY"] == "k"
    assert environment["DATABASE_URL"] == "postgresql://x"


def test_the_owners_url_goes_to_no_process_where_each_has_a_login_of_its_own() -> None:
    given = urls_of("postgresql://owner:o@/x", "postgresql://app:a@/x", "postgresql://platform:p@/x")
    assert given["DATABASE_URL"] == ""
    assert "owner" not in str(
        process_environment({}, DataDir(Path("/srv/pv")), database=given, admin_token_sha256="", metric_port=1)
    )


def test_without_both_logins_the_owners_url_is_handed_on() -> None:
    assert urls_of("postgresql://owner@/x", "", "postgresql://platform@/x")["DATABASE_URL"] == "postgresql://owner@/x"


def test_services_beside_a_platform_of_ones_own_may_be_opened() -> None:
    assert made({})["PLANVAULT_EGRESS_ALLOW_LOOPBACK"] == "true"
    assert made({"PLANVAULT_EGRESS_ALLOW_LOOPBACK": "false"})["PLANVAULT_EGRESS_ALLOW_LOOPBACK"] == "false"


def test_once_people_sign_in_what_lies_inside_is_opened_by_the_operators_word_only() -> None:
    environment = made({"PLANVAULT_OIDC_ISSUER": "https://issuer.example", "PLANVAULT_EGRESS_ALLOW_PRIVATE": "true"})
    assert "PLANVAULT_EGRESS_ALLOW_LOOPBACK" not in environment
    assert environment["PLANVAULT_EGRESS_ALLOW_PRIVATE"] == "true"
