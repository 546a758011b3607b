"""The standard functions: what plans may compute with between tool calls.

Every function is pure and total in its errors: for any arguments it returns a value or raises EvaluationFailed, and it
pays for what it creates before it creates it. Arguments are positional.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from models.values import SecretText, Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.standard import collections as data
from planvault.plan.standard import jsonpath, text
from planvault.plan.standard import numbers as number
from planvault.plan.values import refuse_secrets

Body = Callable[[list[Value], Budget], Value]


@dataclass(frozen=True, slots=True)
class Function:
    """`signature` shows the parameters, optional ones in brackets. `result` is a JSON type, or None where it depends.

    `passes` says that arguments may hold secrets, because the function only hands them on.
    """

    name: str
    signature: str
    summary: str
    least: int
    most: int
    result: str | None
    body: Body
    passes: bool = False

    def call(self, args: list[Value], budget: Budget) -> Value:
        if not self.least <= len(args) <= self.most:
            raise EvaluationFailed("WRONG_ARGUMENTS", f"{self.signature} got {len(args)} arguments.")
        if not self.passes:
            for arg in args:
                if isinstance(arg, (SecretText, list, dict)):
                    refuse_secrets(arg, f"call {self.name}()", budget)
        return self.body(args, budget)


MANY = 50

_ALL = (
    Function(
        "get_field",
        "get_field(object, path, [default])",
        'A field by path, as in "items[0].name" or ["items", 0, "name"]; with a default, never an error.',
        2,
        3,
        None,
        data.get_field,
        passes=True,
    ),
    Function(
        "set_field",
        "set_field(object, path, value)",
        "A copy with one field set.",
        3,
        3,
        None,
        data.set_field,
        passes=True,
    ),
    Function(
        "merge",
        "merge(object, object, …)",
        "One object of all keys, later ones win.",
        1,
        MANY,
        "object",
        data.merge,
        passes=True,
    ),
    Function(
        "jsonpath",
        "jsonpath(value, query)",
        'All values that a JSONPath (RFC 9535) selects, as a list: "$.items[?@.total > 10].id".',
        2,
        2,
        "array",
        jsonpath.query,
    ),
    Function("len", "len(value)", "Characters, items or keys.", 1, 1, "integer", data.length),
    Function(
        "default",
        "default(value, otherwise)",
        "`otherwise` where the value is null.",
        2,
        2,
        None,
        data.coalesce,
        passes=True,
    ),
    Function(
        "coalesce",
        "coalesce(value, value, …)",
        "The first that is not null, or null.",
        1,
        MANY,
        None,
        data.coalesce,
        passes=True,
    ),
    Function("keys", "keys(object)", "The keys, in order.", 1, 1, "array", data.keys),
    Function("values", "values(object)", "The values, in order.", 1, 1, "array", data.values, passes=True),
    Function("first", "first(list)", "The first item, or null.", 1, 1, None, data.first, passes=True),
    Function("last", "last(list)", "The last item, or null.", 1, 1, None, data.last, passes=True),
    Function(
        "slice",
        "slice(list_or_text, start, [end])",
        "Part from start up to, not including, end; negative counts from the end.",
        2,
        3,
        None,
        data.slice_,
    ),
    Function("append", "append(list, item)", "A new list with one item more.", 2, 2, "array", data.append, passes=True),
    Function("flatten", "flatten(list)", "Lists inside the list dissolved, one level.", 1, 1, "array", data.flatten),
    Function("reverse", "reverse(list)", "The items from last to first.", 1, 1, "array", data.reverse),
    Function("unique", "unique(list)", "Equal items once, first kept.", 1, 1, "array", data.unique),
    Function(
        "sort",
        "sort(list, [path], [descending])",
        "Sorted numbers or strings, or objects by a field; stable.",
        1,
        3,
        "array",
        data.sort,
    ),
    Function("pluck", "pluck(list, path)", "That field of every item, null where absent.", 2, 2, "array", data.pluck),
    Function(
        "filter_by",
        "filter_by(list, path, [op], value)",
        'Items whose field compares so (default "=="); op: == != < <= > >= in contains.',
        3,
        4,
        "array",
        data.filter_by,
    ),
    Function(
        "find_by",
        "find_by(list, path, [op], value)",
        "The first item that filter_by keeps, or null.",
        3,
        4,
        None,
        data.find_by,
    ),
    Function("range", "range([start], stop)", "Whole numbers from start (0) up to stop.", 1, 2, "array", number.range_),
    Function("sum", "sum(list)", "The sum of numbers; 0 for none.", 1, 1, "number", number.sum_),
    Function("min", "min(list) or min(a, b, …)", "The smallest number or string.", 1, MANY, None, number.min_),
    Function("max", "max(list) or max(a, b, …)", "The largest number or string.", 1, MANY, None, number.max_),
    Function("round", "round(number, [digits])", "Rounded, half to even.", 1, 2, "number", number.round_),
    Function("abs", "abs(number)", "Without its sign.", 1, 1, "number", number.abs_),
    Function("int", "int(value)", "A whole number from a number (cut off) or a text.", 1, 1, "integer", number.int_),
    Function("float", "float(value)", "A number from a number or a text.", 1, 1, "number", number.float_),
    Function("bool", "bool(value)", "The truth of a value.", 1, 1, "boolean", data.bool_),
    Function("str", "str(value)", "Text as it is, everything else as JSON.", 1, 1, "string", text.str_),
    Function("lower", "lower(text)", "In lower case.", 1, 1, "string", text.lower),
    Function("upper", "upper(text)", "In upper case.", 1, 1, "string", text.upper),
    Function("trim", "trim(text)", "Without blanks at both ends.", 1, 1, "string", text.trim),
    Function("split", "split(text, separator)", "The parts between separators.", 2, 2, "array", text.split),
    Function("join", "join(list, separator)", "The items' texts with a separator.", 2, 2, "string", text.join),
    Function(
        "contains",
        "contains(whole, part)",
        "Part of a text, item of a list, key of an object.",
        2,
        2,
        "boolean",
        data.contains,
    ),
    Function(
        "starts_with", "starts_with(text, start)", "Whether the text starts so.", 2, 2, "boolean", text.starts_with
    ),
    Function("ends_with", "ends_with(text, end)", "Whether the text ends so.", 2, 2, "boolean", text.ends_with),
    Function("replace", "replace(text, old, new)", "Every `old` replaced.", 3, 3, "string", text.replace),
    Function("to_json", "to_json(value)", "Compact JSON text.", 1, 1, "string", text.to_json_),
    Function("parse_json", "parse_json(text)", "The value of a JSON text.", 1, 1, None, text.parse_json),
    Function("type_of", "type_of(value)", "The JSON type's name.", 1, 1, "string", data.type_of),
)

FUNCTIONS: Mapping[str, Function] = MappingProxyType({function.name: function for function in _ALL})
