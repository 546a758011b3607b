"""ray-cluster.yaml: its structure, and what it has in common with the local default."""

import importlib
import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cluster import environment, loopback
from cluster.topology import SERVE_CONFIG

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The documents by kind."""
    documents = list(yaml.safe_load_all((REPOSITORY / "ray-cluster.yaml").read_text()))
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def groups(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Head and worker groups by name."""
    cluster = manifest["RayService"]["spec"]["rayClusterConfig"]
    return {"head": cluster["headGroupSpec"]} | {group["groupName"]: group for group in cluster["workerGroupSpecs"]}


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    return dict(only)


def test_ray_is_the_series_that_this_build_is_made_for(manifest: dict[str, Any]) -> None:
    version = manifest["RayService"]["spec"]["rayClusterConfig"]["rayVersion"]
    pinned = re.search(r'"ray\[[a-z,]+\]>=(\d+\.\d+)', (REPOSITORY / "pyproject.toml").read_text())
    assert pinned is not None
    assert version.startswith(pinned.group(1) + ".")


def test_the_cluster_asks_for_a_token_from_a_secret(manifest: dict[str, Any]) -> None:
    assert manifest["RayService"]["spec"]["rayClusterConfig"]["authOptions"] == {
        "mode": "token",
        "secretName": "planvault-ray",
    }


def test_the_applications_are_those_of_the_local_default(manifest: dict[str, Any]) -> None:
    deployed = yaml.safe_load(manifest["RayService"]["spec"]["serveConfigV2"])
    local = yaml.safe_load(SERVE_CONFIG.read_text())

    def facts(config: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [(app["name"], app["route_prefix"], app["import_path"], app["args"]) for app in config["applications"]]

    assert facts(deployed) == facts(local)
    assert {**deployed["http_options"], "host": "127.0.0.1"} == local["http_options"]
    assert deployed["logging_config"] == local["logging_config"]


def test_ray_serve_accepts_the_deployed_configuration(manifest: dict[str, Any]) -> None:
    from ray.serve.schema import ServeDeploySchema

    ServeDeploySchema.model_validate(yaml.safe_load(manifest["RayService"]["spec"]["serveConfigV2"]))


def test_the_head_takes_no_work_by_cpu(groups: dict[str, dict[str, Any]]) -> None:
    assert groups["head"]["rayStartParams"]["num-cpus"] == "0"


def test_the_gpu_group_is_there_and_asks_for_nothing_until_it_is_wanted(groups: dict[str, dict[str, Any]]) -> None:
    assert set(groups) == {"head", "cpu", "gpu"}
    assert groups["gpu"]["replicas"] == groups["gpu"]["minReplicas"] == 0
    assert container(groups["gpu"])["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("name", ["head", "cpu", "gpu"])
def test_every_group_runs_the_same_image_and_environment_unprivileged(
    groups: dict[str, dict[str, Any]], name: str
) -> None:
    group, head = groups[name], groups["head"]
    assert container(group)["image"] == container(head)["image"]
    assert container(group)["env"] == container(head)["env"]
    assert group["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert "limits" in container(group)["resources"]


def test_nothing_phones_home_there_either(groups: dict[str, dict[str, Any]]) -> None:
    given = {entry["name"]: entry.get("value") for entry in container(groups["head"])["env"]}
    promised = (
        *("RAY_USAGE_STATS_ENABLED", "RAY_USAGE_STATS_REPORT_URL", "LITELLM_LOCAL_MODEL_COST_MAP"),
        *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    )
    assert {name: given[name] for name in promised} == {name: environment.QUIET[name] for name in promised}


def test_secrets_come_from_secrets(groups: dict[str, dict[str, Any]]) -> None:
    entries = {entry["name"]: entry for entry in container(groups["head"])["env"]}
    for name in ("PLANVAULT_APP_DATABASE_URL", "PLANVAULT_PLATFORM_DATABASE_URL", "PLANVAULT_ADMIN_TOKEN_SHA256"):
        assert "secretKeyRef" in entries[name]["valueFrom"]
    assert "DATABASE_URL" not in entries  # the owner's: the migration's alone


def test_from_outside_only_the_api_is_reachable(manifest: dict[str, Any]) -> None:
    rules = manifest["NetworkPolicy"]["spec"]["ingress"]
    open_to_all = [port["port"] for rule in rules if "from" not in rule for port in rule["ports"]]
    assert open_to_all == [8080]


def test_only_what_the_platform_needs_goes_out_and_no_metadata_service(manifest: dict[str, Any]) -> None:
    policy = manifest["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all("to" in rule for rule in policy["egress"]), "nothing goes anywhere at will"
    allowed = [
        (ipaddress.ip_network(block["cidr"]), [ipaddress.ip_network(each) for each in block.get("except", [])])
        for rule in policy["egress"]
        for target in rule["to"]
        if (block := target.get("ipBlock")) is not None
    ]
    for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "127.0.0.1"):
        found = ipaddress.ip_address(address)
        assert not [net for net, but in allowed if found in net and not any(found in each for each in but)], address
    ports = {port["port"] for rule in policy["egress"] if "ports" in rule for port in rule["ports"]}
    assert ports == {53, 443, 5432}


def test_the_dashboard_stays_at_home_there_too(groups: dict[str, dict[str, Any]]) -> None:
    given = {entry["name"]: entry.get("value") for entry in container(groups["head"])["env"]}
    module, _, function = given["RAY_START_HOOK"].rpartition(".")
    assert getattr(importlib.import_module(module), function) is loopback.before_start_in_cluster
    ours = loopback.NO_WAY_OUT_OF_THE_CLUSTER
    for url, reached in (
        ("http://169.254.169.254/latest", False),
        ("http://metadata.google.internal/computeMetadata", False),
        ("https://usage-stats.ray.io/", False),
        ("http://10.42.0.7:52365/api", True),
        ("http://planvault-head-svc:8265/api", True),
    ):
        assert requests.utils.should_bypass_proxies(url, no_proxy=ours["no_proxy"]) is reached, url


def test_the_release_job_runs_what_this_build_has(manifest: dict[str, Any]) -> None:
    spec = manifest["Job"]["spec"]["template"]["spec"]
    assert spec["initContainers"][0]["command"] == ["planvault", "migrate"]
    assert spec["containers"][0]["command"][-3:] == ["-m", "cluster.start_actors", "auto"]
    assert (REPOSITORY / "cluster" / "start_actors.py").exists()


def test_the_image_copies_every_package_that_the_wheel_lists() -> None:
    import tomllib

    listed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = set(re.findall(r"^COPY (\w+) \1$", (REPOSITORY / "deploy" / "Dockerfile").read_text(), re.MULTILINE))
    assert copied == set(listed["packages"])
