"""Document → tool drafts, and a report of what could not become a tool. Pure; whatever the document holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.base import JsonObject, JsonValue
from models.tools import ImportOutcome, OperationReport
from planvault.ingestion import swagger2
from planvault.ingestion.dereference import RefProblem, Resolver
from planvault.ingestion.drafts import Extraction, ToolDraft
from planvault.ingestion.naming import unique
from planvault.ingestion.operations import Source, draft
from planvault.ingestion.parameters import CredentialParams, Unimportable
from planvault.ingestion.parse import ParsedSpec, SpecVersion

# Raise it with every change of what is made of a document: bulk imports then read unchanged documents again.
EXTRACTION = 1
MAX_OPERATIONS = 20_000
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_MAX_NAME = 200


@dataclass(slots=True)
class _Walk:
    """What has been found so far. `names` are taken, `ids` are the operationIds seen."""

    drafts: list[ToolDraft] = field(default_factory=list)
    skipped: list[OperationReport] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)

    def skip(self, operation: str, problem: str) -> None:
        report = OperationReport(operation=operation[:_MAX_NAME], outcome=ImportOutcome.SKIPPED, problems=(problem,))
        self.skipped.append(report)


def extract(spec: ParsedSpec) -> Extraction:
    """Everything importable in a document. Never raises for what a document says."""
    document = spec.document
    is_swagger = spec.version is SpecVersion.SWAGGER_2_0
    resolver = Resolver(document)
    schemes = _security_schemes(document, is_swagger, resolver)
    source = Source(document, resolver, is_swagger, _credentials(schemes))
    walk = _Walk()
    for method, path, item, operation in _operations(document, resolver, walk):
        if len(walk.drafts) >= MAX_OPERATIONS:
            walk.skip(f"{method} {path}", f"Only the first {MAX_OPERATIONS:,} operations are imported.")
            break
        _take(source, walk, method, path, item, operation)
    info = document.get("info")
    title = info.get("title") if isinstance(info, dict) else None
    return Extraction(
        title=title[:_MAX_NAME] if isinstance(title, str) else "",
        server=swagger2.server_of(document) if is_swagger else _server(document),
        sha256=spec.sha256,
        drafts=tuple(walk.drafts),
        skipped=tuple(walk.skipped),
        notes=tuple(_notes(schemes)),
    )


def _take(source: Source, walk: _Walk, method: str, path: str, item: JsonObject, operation: JsonObject) -> None:
    label = f"{method} {path}"
    try:
        found = draft(source, method, path, item, operation)
    except Unimportable as problem:
        walk.skip(label, str(problem))
        return
    except MemoryError:
        raise  # not of this operation: the process that reads is at its limit
    except Exception as fault:  # noqa: BLE001 - a stranger's document: what we did not foresee costs one operation
        walk.skip(label, f"The operation is malformed ({type(fault).__name__}).")
        return
    problems = list(found.problems)
    operation_id = operation.get("operationId")
    if not isinstance(operation_id, str) or not operation_id.strip():
        problems.append("There is no operationId; the name is made from method and path.")
    elif operation_id in walk.ids:
        problems.append(f"The operationId `{operation_id[:80]}` is used more than once.")
    else:
        walk.ids.add(operation_id)
    name = unique(found.name, walk.names)
    walk.names.add(name)
    walk.drafts.append(found.model_copy(update={"name": name, "stem": found.name, "problems": tuple(problems)}))


def _operations(
    document: JsonObject, resolver: Resolver, walk: _Walk
) -> Iterator[tuple[str, str, JsonObject, JsonObject]]:
    paths = document.get("paths")
    for path, raw in paths.items() if isinstance(paths, dict) else ():
        if path.startswith("x-"):
            continue
        try:
            item, _ = resolver.follow(raw)
        except RefProblem as problem:
            walk.skip(path, f"The path cannot be read: {problem}")
            continue
        if "trace" in item:
            walk.skip(f"TRACE {path}", "TRACE requests are not made.")
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, dict):
                yield method.upper(), path, item, operation
            elif operation is not None:
                walk.skip(f"{method.upper()} {path}", "The operation is no object.")


def _server(document: JsonObject) -> str:
    """The first server's URL with its variables' defaults."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(url, str):
        return ""
    variables = first.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict):
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url.strip()


def _security_schemes(document: JsonObject, is_swagger: bool, resolver: Resolver) -> dict[str, JsonObject]:
    components = document.get("components")
    holder: JsonValue = document if is_swagger else components
    key = "securityDefinitions" if is_swagger else "securitySchemes"
    stated = holder.get(key) if isinstance(holder, dict) else None
    found = {}
    for name, raw in stated.items() if isinstance(stated, dict) else ():
        try:
            found[name], _ = resolver.follow(raw)
        except RefProblem:
            continue  # nothing depends on it: credentials are configured per project
    return found


def _credentials(schemes: dict[str, JsonObject]) -> CredentialParams:
    names = {
        (str(scheme.get("in")), str(scheme.get("name", "")).lower())
        for scheme in schemes.values()
        if scheme.get("type") == "apiKey"
    }
    return CredentialParams(frozenset(names))


def _notes(schemes: dict[str, JsonObject]) -> Iterator[str]:
    """How the service wants to be authenticated, in the terms of an integration's `auth` setting."""
    for name, scheme in list(schemes.items())[:20]:
        kind, place, key = scheme.get("type"), scheme.get("in"), str(scheme.get("name", ""))[:80]
        if kind == "apiKey" and place == "query":
            setting = f'"?{key}": "{{{{secrets.NAME}}}}"'
        elif kind == "apiKey" and place == "cookie":
            setting = f'"Cookie": "{key}={{{{secrets.NAME}}}}"'
        elif kind == "apiKey":
            setting = f'"{key}": "{{{{secrets.NAME}}}}"'
        elif kind == "basic" or str(scheme.get("scheme", "")).lower() == "basic":
            setting = '"Authorization": "Basic {{secrets.NAME}}" (base64 of user:password)'
        else:
            setting = '"Authorization": "Bearer {{secrets.NAME}}"'
        yield f"Security scheme `{name[:80]}` ({kind}): set the integration's auth to {setting}."
