"""Which tool's result can supply a parameter that the prompt gives no value for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.plans import Expr, FieldAccess, Func
from models.tools import OutputField, ToolParam
from planvault.planner.builtin.coercion import schema_type
from planvault.planner.builtin.english import words_of
from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.toolview import ToolView, identified, identifies, is_identifier, list_depth
from planvault.planner.builtin.values import Mention
from planvault.planner.builtin.verbs import writes
from planvault.planner.builtin.words import content, split

_WRAPPERS = words_of("parameters", "wrappers")
_COMMON = words_of("parameters", "common")
_NAME_FIELDS = frozenset({"name", "title", "label", "username", "login"})
_HOLDING = {
    Kind.NAME: _NAME_FIELDS,
    Kind.QUOTED: _NAME_FIELDS,
    Kind.TAIL: _NAME_FIELDS,
    Kind.EMAIL: frozenset({"email", "mail"}),
    Kind.CODE: frozenset({"code", "number", "reference", "sku", "symbol", "slug", "key"}),
}
_PLACES = frozenset({"in", "at", "on", "from", "to", "near", "since", "until"})
_DEEPEST = 2  # lists inside lists


@dataclass(frozen=True, slots=True)
class Link:
    """`param` can be taken from `path` of the producer's result; `strength` in 0…1 says how plainly."""

    producer: ToolView
    path: tuple[str, ...]
    strength: float
    index: Mention | None = None  # the item of a list that the prompt asks for, 1-based
    where: tuple[str, Mention] | None = None  # the item whose field holds that value

    @property
    def is_of_item(self) -> bool:
        """Whether the field is the item's own `id`, and no reference to something else such as `customer_id`."""
        return not [word for word in split(self.path[-1]) if not identifies(word)]

    @property
    def in_list(self) -> bool:
        return "*" in self.path


class LinkTable:
    """All links of one shortlist, each computed once."""

    def __init__(self, tools: Sequence[ToolView]) -> None:
        self._tools = tools
        self._resources = identified(tools)
        self._known: dict[tuple[str, str, str], Link | None] = {}

    def links(self, view: ToolView, param: ToolParam) -> Iterator[Link]:
        """Producers for a parameter, the best field of each.

        A tool that changes something is never looked up with: finding a value must not have effects.
        """
        for other in self._tools:
            link = None if writes(other.tool) or other is view else self.link(view, param, other)
            if link is not None:
                yield link

    def link(self, view: ToolView, param: ToolParam, other: ToolView) -> Link | None:
        """The plainest field of `other` for the parameter; of equal ones the shallowest: the thing itself."""
        key = (view.tool.name, param.name, other.tool.name)
        if key not in self._known:
            rated = [
                (_strength(view, param, other, output, self._resources), output) for output in other.outputs_for(param)
            ]
            strength, path = max(
                ((strength, output.path) for strength, output in rated if strength > 0),
                key=lambda best: (best[0], -len(best[1])),
                default=(0.0, ()),
            )
            self._known[key] = Link(other, path, strength) if path else None
        return self._known[key]


def field_holding(link: Link, mention: Mention) -> str | None:
    """The field of the link's list items that such a value would stand in: a name in `name`, an address in `email`."""
    if mention.key and not set(split(mention.key)) & _NAME_FIELDS:
        return None
    if mention.kind is Kind.NAME and mention.hints[:1] and mention.hints[0] in _PLACES:
        return None  # “in London” names no customer
    prefix = link.path[: len(link.path) - link.path[::-1].index("*")]
    names = {
        output.path[-1]: split(output.path[-1])
        for output in link.producer.tool.outputs
        if output.path[:-1] == prefix and output.type in ("string", "any")
    }
    fitting = [name for name, words in names.items() if words and words[-1] in _HOLDING.get(mention.kind, ())]
    return min(fitting, key=len, default=None)


def things(view: ToolView, param: ToolParam, link: Link) -> frozenset[str]:
    """What the items of a producer's list may be called: what it lists, and what the parameter identifies."""
    return frozenset({link.producer.resource}) | (view.resource_of(param) if link.is_of_item else frozenset())


def _strength(
    view: ToolView, param: ToolParam, other: ToolView, output: OutputField, resources: frozenset[str]
) -> float:
    keys = [part for part in output.path if part != "*"]
    if not keys or list_depth(output) > _DEEPEST or not _compatible(param, output):
        return 0.0
    same = split(keys[-1]) == split(param.name)
    if not is_identifier(param):
        return 0.7 if same and param.name.lower() not in _COMMON else 0.0
    if same and len(split(param.name)) > 1:
        return 1.0  # movie_id in both
    if identifies(keys[-1]) != identifies(param.name):
        return 0.0
    wanted = view.resource_of(param)
    own = [word for word in split(keys[-1]) if not identifies(word)]
    if own:
        return 0.85 if wanted and frozenset(content(own)) == wanted else 0.0
    return _held_by(wanted, keys[:-1], other, resources)


def _held_by(wanted: frozenset[str], containers: Sequence[str], other: ToolView, resources: frozenset[str]) -> float:
    """How plainly an anonymous `id` inside `containers` identifies the wanted resource."""
    named = [key for key in containers if key.lower() not in _WRAPPERS]
    if named:
        return 0.95 if wanted & frozenset(content(split(named[-1]))) else 0.0
    if other.resource in wanted:
        return 0.9
    if other.resource in resources:
        return 0.0  # a thing of its own: the id of a review under /movie/{id}/reviews is no movie's
    return 0.75 if wanted and wanted <= other.head else 0.0


def _compatible(param: ToolParam, output: OutputField) -> bool:
    wanted = schema_type(param.schema_)
    if wanted == "array":
        items = param.schema_.get("items")
        wanted = schema_type(items) if isinstance(items, dict) else "any"
    return "any" in (wanted, output.type) or wanted == output.type or {wanted, output.type} == {"integer", "number"}


def field(base: Expr, path: Sequence[str]) -> Expr:
    """The expression for a path into a value; of lists inside it, the first item."""
    for part in path:
        base = Func(name="first", args=(base,)) if part == "*" else FieldAccess(base=base, key=part)
    return base
