"""What the validator says of paths is compared with walking all of them.

Plans over three variables, whose branches go both ways and whose loops run no time, once and twice, are walked path by
path. A plan that the validator accepts meets no undefined variable and always ends; one that it refuses for a variable
has a path that meets it undefined.
"""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.plans import Assignment, For, If, Lit, Plan, PlanNode, Reply, Var
from planvault.plan.validate import validate

NAMES = st.sampled_from(["a", "b"])
_ONE = Lit(value=1)
_REPLY = Reply(id="n", expr=Var(name="a"))
EXPR = st.one_of(st.just(_ONE), st.just(_ONE), st.builds(Var, name=NAMES))
LEAF: st.SearchStrategy[PlanNode] = st.one_of(
    st.builds(Assignment, id=st.just("n"), target=NAMES, expr=EXPR), st.builds(Reply, id=st.just("n"), expr=EXPR)
)


def blocks(depth: int) -> st.SearchStrategy[tuple[PlanNode, ...]]:
    node = LEAF
    if depth:
        inner = blocks(depth - 1)
        node = st.one_of(
            LEAF,
            st.builds(If, id=st.just("n"), condition=EXPR, then=inner, orelse=inner),
            st.builds(For, id=st.just("n"), variable=st.just("item"), iterable=EXPR, body=inner),
        )
    return st.lists(node, max_size=3).map(tuple)


# A reply at the end lets more than a few of these plans be valid.
PLANS = st.builds(lambda body, end: Plan(body=(*body, *end)), blocks(2), st.sampled_from([(), (_REPLY,), (_REPLY,)]))


@dataclass(frozen=True, slots=True)
class State:
    defined: frozenset[str] = frozenset()
    ended: bool = False
    missed: bool = False  # an undefined variable was read


def walk(body: tuple[PlanNode, ...], states: set[State]) -> set[State]:
    """The states behind the block, of all paths through it."""
    for node in body:
        going = {state for state in states if not state.ended}
        states = (states - going) | (step(node, going) if going else set())
    return states


def step(node: PlanNode, states: set[State]) -> set[State]:
    match node:
        case Assignment():
            states = {read(node.expr, state) for state in states}
            return {replace(state, defined=state.defined | {node.target}) for state in states}
        case Reply():
            return {replace(read(node.expr, state), ended=True) for state in states}
        case If():
            states = {read(node.condition, state) for state in states}
            return walk(node.then, states) | walk(node.orelse, states)
        case For():
            once = {read(node.iterable, state) for state in states}
            twice = walk(node.body, once)
            return once | twice | walk(node.body, twice)
        case _:
            raise AssertionError("these plans have nothing else")


def read(expr: object, state: State) -> State:
    missed = isinstance(expr, Var) and expr.name not in state.defined
    return replace(state, missed=state.missed or missed)


@settings(max_examples=400, deadline=None)
@given(PLANS)
def test_the_validator_knows_every_path(plan: Plan) -> None:
    codes = {problem.code for problem in validate(plan, ())} - {"DUPLICATE_ID", "SHADOWED", "TOO_COMPLEX"}
    paths = walk(plan.body, {State()})
    if not codes:
        assert all(path.ended and not path.missed for path in paths)
    if codes and codes <= {"UNDEFINED_VARIABLE", "MAYBE_UNDEFINED"}:
        assert any(path.missed for path in paths)
    if codes == {"MISSING_TERMINAL"}:
        assert any(not path.ended for path in paths)
