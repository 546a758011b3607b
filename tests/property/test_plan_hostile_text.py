"""Whatever a model answers, the compiler answers with a plan or with problems, and with nothing else."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.plan.schema import node_fields

PIECES = st.sampled_from(
    [
        *(
            "x",
            "y",
            "order",
            "reply",
            "fail",
            "slot",
            "call",
            "attempt",
            "for",
            "in",
            "if",
            "elif",
            "else",
            "not",
            "and",
        ),
        *("len", "concat", "get_field", "lambda", "def", "import", "while", "await", "None", "is", "pass", "return"),
        *(
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ":",
            ",",
            ".",
            "=",
            "==",
            "+",
            "-",
            "*",
            "**",
            "/",
            "%",
            "~",
            "@",
            "<",
            "!",
            ";",
        ),
        *(
            "1",
            "1.5",
            "0x1F",
            "1e999",
            "99999999999999999999",
            "1j",
            "'a'",
            '"b"',
            "f'{x}'",
            "f'{x!r:>9}'",
            "b'c'",
            "'''",
        ),
        *(
            "'{{secrets.A}}'",
            "f'{{secrets.A}}'",
            "\\",
            "#",
            "\n",
            "\n    ",
            "\n        ",
            "\t",
            "<script>",
            "</script>",
        ),
        *("```", "...", "__class__", "\x00", "\ud800", "\u2028", "ﬁ", "\ufeff"),
    ]
)
SOUP = st.lists(PIECES, max_size=40).map(" ".join)
ANY_TEXT = st.text(st.characters(), max_size=80)

FIELD = st.sampled_from(sorted({name for fields in node_fields().values() for name in fields} | {"id", "kind", "odd"}))
LOOSE = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), SOUP, st.sampled_from(["n1", "n2", "if", "for", "call"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELD, inner, max_size=4)),
    max_leaves=8,
)
NODE = st.builds(
    lambda kind, name, rest: {**rest, "kind": kind, "id": name},
    st.sampled_from([*node_fields(), "odd"]),
    st.sampled_from(["n1", "n2", "n3"]),
    st.dictionaries(FIELD, st.one_of(LOOSE, st.lists(st.sampled_from(["n1", "n2", "n3"]), max_size=3)), max_size=6),
)
WIRE = st.fixed_dictionaries(
    {"nodes": st.one_of(LOOSE, st.lists(NODE, max_size=4)), "body": st.one_of(LOOSE, st.just(["n1", "n2", "n3"]))},
    optional={"slots": LOOSE, "odd": LOOSE},
)


def compiles_or_complains(text: str, mode: PlannerMode) -> None:
    compiled = compile_plan(text, mode, ())
    assert (compiled.plan is None) == bool(compiled.problems)
    lines = text.count("\n") + 1
    for problem in compiled.problems:
        assert problem.message
        assert problem.line is None or 1 <= problem.line <= lines


@settings(max_examples=400, deadline=None)
@given(st.one_of(SOUP, ANY_TEXT))
@example("")
@example("<script>")
@example("<script></script>")
@example("```\n```")
@example("x = 1\\")
@example("f'{'")
@example("  reply(1)\n reply(2)")
def test_any_text_is_a_plan_or_has_problems(text: str) -> None:
    compiles_or_complains(text, PlannerMode.PYTHON_DSL)
    compiles_or_complains(text, PlannerMode.STRUCTURED_JSON)


@settings(max_examples=300, deadline=None)
@given(WIRE)
@example({"nodes": [{"id": "n1", "kind": "if", "expr": "x", "then": ["n1"], "else": None}], "body": ["n1"]})
@example({"nodes": [{"id": "n1", "kind": "for", "variable": "x", "expr": "x", "body": ["n2"]}], "body": []})
def test_any_json_of_about_the_right_shape_is_a_plan_or_has_problems(wire: object) -> None:
    compiles_or_complains(json.dumps(wire), PlannerMode.STRUCTURED_JSON)
