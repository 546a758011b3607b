"""Which value of a prompt goes into which parameter of a tool."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.base import JsonScalar
from models.plans import Expr, ListOf, Lit
from models.tools import ToolParam
from planvault.planner.builtin.clauses import Clause
from planvault.planner.builtin.coercion import coerce, enum_of, items_of, schema_type
from planvault.planner.builtin.english import STOP_WORDS, lists_of, words_of
from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.toolview import ToolView, is_identifier
from planvault.planner.builtin.values import Mention
from planvault.planner.builtin.words import canonical, content, split

_NEEDED, _WISHED = 0.5, 1.0  # least fit for a required and for an optional parameter
_NEAR, _PARTLY = (1.4, 1.1, 0.8, 0.6), 0.6

_IDENTIFIERS = words_of("parameters", "identifiers")
_PAGING = words_of("parameters", "paging")
_POSITIONS = words_of("parameters", "positions")
_FREE_TEXT = words_of("parameters", "free_text")
_FREE_NAME = words_of("parameters", "free_name")
_NAME_LIKE = words_of("parameters", "name_like")
_DATE_LIKE = words_of("parameters", "dates")
_MAIL_LIKE = words_of("parameters", "addresses")
_LINK_LIKE = words_of("parameters", "links")
_ALIASES = (_FREE_NAME | {"label", "subject"}, _FREE_TEXT)  # what `named …` and `saying …` may mean
_ROLES = lists_of("roles")
_OPPOSED = (("from", "to"), ("to", "from"))


@dataclass(frozen=True, slots=True)
class Bound:
    """`exprs` by parameter; `used` are the mentions in them; `missing` are required parameters without a value.

    `fan` is one parameter that was given several values where it takes one.
    """

    exprs: dict[str, Expr]
    used: frozenset[Mention]
    missing: tuple[ToolParam, ...]
    fan: tuple[str, ListOf] | None = None


def bind(view: ToolView, clause: Clause, available: Sequence[Mention], *, fans: bool = False) -> Bound:
    """Assign mentions to parameters, best fit first; each mention goes into one parameter.

    With `fans`, a scalar parameter may take a whole enumeration (“orders 4, 5 and 6”).
    """
    exprs: dict[str, Expr] = {}
    used: set[Mention] = set()
    fan: tuple[str, ListOf] | None = None
    for param, mention in _by_fit(view, available):
        is_array = schema_type(param.schema_) == "array"
        if mention in used or (param.name in exprs and not is_array):
            continue
        literal = Lit(value=_coerced(param, mention))
        series = [each for each in available if each.series == mention.series != 0 and each not in used]
        if is_array:
            before = exprs.get(param.name)
            exprs[param.name] = ListOf(items=(*(before.items if isinstance(before, ListOf) else ()), literal))
        elif fans and fan is None and len(series) > 1 and all(_coerced(param, each) is not None for each in series):
            exprs[param.name] = literal
            fan = (param.name, ListOf(items=tuple(Lit(value=_coerced(param, each)) for each in series)))
            used.update(series)
        else:
            exprs[param.name] = literal
        used.add(mention)
    for param in view.tool.params:
        if param.name not in exprs and (value := _from_words(param, clause, view)) is not None:
            scalar = Lit(value=value)
            exprs[param.name] = ListOf(items=(scalar,)) if schema_type(param.schema_) == "array" else scalar
    missing = tuple(param for param in view.required if param.name not in exprs)
    return Bound(exprs, frozenset(used), missing, fan)


def _by_fit(view: ToolView, available: Sequence[Mention]) -> list[tuple[ToolParam, Mention]]:
    """Pairs that suit well enough, best first; of equal ones the required parameter, then the earlier value."""
    rated = [
        (fit(view, param, mention), param.required, -at, param, mention)
        for param in view.tool.params
        for at, mention in enumerate(available)
    ]
    suited = [entry for entry in rated if entry[0] >= (_NEEDED if entry[1] else _WISHED)]
    return [entry[3:] for entry in sorted(suited, key=lambda entry: entry[:3], reverse=True)]


def fit(view: ToolView, param: ToolParam, mention: Mention) -> float:
    """How well a value suits a parameter, 0 = not at all."""
    if _coerced(param, mention) is None:
        return 0.0
    names = set(split(param.name))
    if mention.key:
        return _keyed(mention.key, names)
    near = _nearness(view, param, mention)
    kind = _kind_fit(param, names, mention, near)
    preposition = mention.hints[0] if mention.hints else ""
    if kind == 0.0 or any(
        preposition == one and names & _ROLES[other] and not names & _ROLES[one] for one, other in _OPPOSED
    ):
        return 0.0
    return kind + near + (0.8 if names & _ROLES.get(preposition, frozenset()) else 0.0)


def _keyed(key: str, names: Collection[str]) -> float:
    words = {canonical(word) for word in split(key)}
    own = {canonical(word) for word in names}
    if words == own:
        return 4.0
    if words & own:
        return 2.5
    for aliases in _ALIASES:
        if set(split(key)) & aliases and set(names) & aliases:
            return 2.0
    return 0.0


def _nearness(view: ToolView, param: ToolParam, mention: Mention) -> float:
    """How close a word that announces the parameter stands before the value; 1.4 for the word before it.

    Only the nearest noun announces what nobody has to give, and what an identifier identifies: in “the customer of
    order 7”, 7 is no customer. A name's last word says most: `image_language` is a language.
    """
    words = [canonical(word) for word in split(param.name) if len(word) > 1]
    identifier = is_identifier(param)
    whole = set(words[-1:]) | (view.resource_of(param) if identifier else set())
    for distance, word in enumerate(mention.hints[:4]):
        if canonical(word) in whole:
            return _NEAR[distance]
        if canonical(word) in words:
            return _NEAR[distance] * _PARTLY
        if (identifier or not param.required) and word not in STOP_WORDS and word not in _IDENTIFIERS:
            return 0.0
    return 0.0


def _kind_fit(param: ToolParam, names: set[str], mention: Mention, near: float) -> float:
    """How natural the kind of value is for a parameter of this name and type."""
    kind, numeric = mention.kind, schema_type(param.schema_) in ("integer", "number")
    if enum_of(param.schema_) or enum_of(items_of(param.schema_)):
        return 1.2
    if names & _PAGING and numeric:
        return 0.6 if near or set(mention.hints[:1]) & {"top", "first", "last"} else 0.0
    if kind is Kind.ORDINAL:  # `second season` is season_number 2, and no id
        return 0.9 if near and split(param.name)[-1] in _POSITIONS else 0.0
    if is_identifier(param):
        return _identifier_fit(kind, mention, names, near)
    if kind in (Kind.DATE, Kind.DATETIME):
        return 0.9 if names & _DATE_LIKE or "format" in param.schema_ else (0.5 if near else 0.0)
    if kind is Kind.EMAIL:
        return 1.2 if names & _MAIL_LIKE else (0.6 if near else 0.0)
    if kind is Kind.URL:
        return 1.2 if names & _LINK_LIKE or "format" in param.schema_ else 0.0
    if numeric:
        return 0.5 if near or param.required else 0.0
    if names & _FREE_TEXT:
        return 1.1 if kind in (Kind.QUOTED, Kind.TAIL) else 0.0
    if names <= _FREE_NAME or names & {"query", "search"}:
        return 1.0 if kind in (Kind.NAME, Kind.QUOTED, Kind.TAIL) else 0.55
    if kind in (Kind.INTEGER, Kind.NUMBER):
        return 0.4 if near else 0.0
    likely = bool(names & _NAME_LIKE) and kind in (Kind.NAME, Kind.QUOTED, Kind.TAIL)
    return 0.7 if likely else 0.45 if kind is Kind.QUOTED or param.required or near else 0.3


def _identifier_fit(kind: Kind, mention: Mention, names: set[str], near: float) -> float:
    if kind is Kind.UUID:
        return 1.2
    if kind is Kind.CODE:
        return 1.0
    if kind is Kind.INTEGER:
        return 0.7 if near else 0.0  # a bare number may count anything
    if kind in (Kind.QUOTED, Kind.NAME) and " " not in str(mention.value):
        # “the book 'Dune'” names a book; “slug 'dune'” is its identifier.
        return 0.8 if mention.hints[:1] and mention.hints[0] in names & _IDENTIFIERS else 0.0
    return 0.9 if kind in (Kind.EMAIL, Kind.URL) and near else 0.0


def _coerced(param: ToolParam, mention: Mention) -> JsonScalar:
    array = schema_type(param.schema_) == "array"
    return coerce(mention, items_of(param.schema_) if array else param.schema_)


def _from_words(param: ToolParam, clause: Clause, view: ToolView) -> JsonScalar:
    """A value that the clause's plain words give: a member of an enumeration, or the schema's only or default one."""
    array = schema_type(param.schema_) == "array"
    members = enum_of(items_of(param.schema_) if array else param.schema_)
    said = {canonical(word) for word in split(clause.text)}
    announced = bool({canonical(word) for word in split(param.name)} & said)
    for member in members:
        words = content(split(str(member))) if isinstance(member, str) else []
        if words and all(word in said for word in words) and (param.required or announced or words[0] not in view.head):
            return member
    if not param.required:
        return None
    default = param.schema_.get("default")
    if isinstance(default, (bool, int, float, str)):
        return default
    return members[0] if len(members) == 1 else None
