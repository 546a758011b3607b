"""Values that are known without the prompt: the session's context variables and its secrets, by name."""

from collections.abc import Sequence

from models.base import JsonObject
from models.plans import Expr, Lit, SecretRef
from models.tools import Tool
from planvault.planner.builtin.coercion import coerce
from planvault.planner.builtin.english import words_of
from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.values import Mention
from planvault.planner.builtin.words import split

_CREDENTIAL = words_of("parameters", "credentials")


def known_values(tools: Sequence[Tool], context: JsonObject, secrets: Sequence[str]) -> dict[str, dict[str, Expr]]:
    """Tool → parameter → expression, for required parameters whose name says which value they mean."""
    by_name = {"".join(split(name)): value for name, value in context.items()}
    known: dict[str, dict[str, Expr]] = {}
    for tool in tools:
        exprs: dict[str, Expr] = {}
        for param in tool.params:
            value = by_name.get("".join(split(param.name)))
            if isinstance(value, (bool, int, float, str)):
                kind = Kind.INTEGER if isinstance(value, int) else Kind.PHRASE
                fitting = coerce(Mention(value, kind, 0, 0), param.schema_)
                if fitting is not None:
                    exprs[param.name] = Lit(value=fitting)
            elif param.required and (secret := _secret(param.name, secrets)) is not None:
                exprs[param.name] = SecretRef(name=secret)
        if exprs:
            known[tool.name] = exprs
    return known


def _secret(param: str, secrets: Sequence[str]) -> str | None:
    """The only secret whose name holds all words of a credential parameter: `api_key` ⊂ `TMDB_API_KEY`."""
    words = set(split(param))
    if not words & _CREDENTIAL:
        return None
    matching = [name for name in secrets if words <= set(split(name))]
    return matching[0] if len(matching) == 1 else None
