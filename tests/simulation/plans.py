"""Random plans that make sense: variables exist and mostly have the type that is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from models.plans import (
    Arg,
    Arith,
    Assignment,
    Call,
    Compare,
    CompareOp,
    DictOf,
    Entry,
    Expr,
    Fail,
    FieldAccess,
    For,
    Func,
    If,
    IndexAccess,
    ListOf,
    Lit,
    OnError,
    Plan,
    PlanNode,
    Reply,
    SecretRef,
    Slot,
    SlotType,
    Text,
    Var,
)

READS = ("read_a", "read_b", "read_c")
WRITES = ("write_none", "write_keyed", "write_declared", "read_none", "write_safe")
PAUSES = ("pause_signal", "pause_sleep")
_CALLS = {"read": READS, "write": WRITES}


@dataclass
class Writer:
    """`share`: how much of each kind of node. Names of variables stand for what they hold: r… a tool's record."""

    rng: Random
    share: Mapping[str, float]
    nodes_left: int
    _names: int = 0
    _ids: int = 0
    slots: list[Slot] = field(default_factory=list)

    def plan(self) -> Plan:
        names: dict[str, str] = {}
        if self.rng.random() < self.share.get("slot", 0.0):
            self.slots.append(Slot(variable="s1", prompt="How many?", type=SlotType.INTEGER))
            names["s1"] = "int"
        body = self._block(names, 0)
        everything = ListOf(items=tuple(Var(name=name) for name in names))
        return Plan(slots=tuple(self.slots), body=(*body, Reply(id=self._id(), expr=everything)))

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _block(self, names: dict[str, str], depth: int) -> tuple[PlanNode, ...]:
        """Adds what it defines to `names`."""
        nodes: list[PlanNode] = []
        for _ in range(self.rng.randint(1, 8 if depth == 0 else 4)):
            if self.nodes_left <= 0:
                break
            self.nodes_left -= 1
            nodes.append(self._node(names, depth))
        return tuple(nodes) or (self._assignment(names),)

    def _node(self, names: dict[str, str], depth: int) -> PlanNode:
        kinds = [kind for kind in self.share if kind != "slot" and (depth < 2 or kind not in {"if", "for"})]
        match self.rng.choices(kinds, [self.share[kind] for kind in kinds])[0]:
            case "if":
                return self._if(names, depth)
            case "for":
                return self._for(names, depth)
            case "assignment":
                return self._assignment(names)
            case "pause":
                return self._pause(names)
            case kind:
                return self._call(kind, names)

    def _call(self, kind: str, names: dict[str, str]) -> Call:
        tool = self.rng.choice(_CALLS.get(kind, (kind,)))
        on_error = OnError.CONTINUE if self.rng.random() < 0.3 else OnError.FAIL
        args = tuple(Arg(name=f"a{n}", expr=self._argument(names)) for n in range(self.rng.randint(0, 2)))
        target = self._target(names, "record" if on_error is OnError.FAIL else "maybe") if self._often() else None
        return Call(id=self._id(), tool=tool, args=args, target=target, on_error=on_error)

    def _pause(self, names: dict[str, str]) -> Call:
        node, target = self._id(), self._target(names, "maybe")
        if self._often():
            given = {"name": f"signal {node}", "timeoutSeconds": 60, "onTimeout": self.rng.choice(["fail", "continue"])}
            args = tuple(Arg(name=name, expr=Lit(value=value)) for name, value in given.items())
            return Call(id=node, tool="pause_signal", args=args, target=target)
        seconds = self.rng.choice([Lit(value=30), self._integer(names)])
        return Call(id=node, tool="pause_sleep", args=(Arg(name="seconds", expr=seconds),), target=target)

    def _assignment(self, names: dict[str, str]) -> Assignment:
        expr, kind = (self._integer(names), "int") if self._often() else (self._any(names), "any")
        return Assignment(id=self._id(), target=self._target(names, kind), expr=expr)

    def _if(self, names: dict[str, str], depth: int) -> If:
        node, condition = self._id(), self._condition(names)
        then, orelse = dict(names), dict(names)
        taken = self._block(then, depth + 1)
        if self.rng.random() < 0.1:
            end = Reply if self._often() else Fail
            taken = (*taken, end(id=self._id(), expr=self._any(then)))
        other = self._block(orelse, depth + 1) if self.rng.random() < 0.5 else ()
        for name in names:  # a branch may have put something else there
            if then[name] != names[name] or orelse[name] != names[name]:
                names[name] = "any"
        return If(id=node, condition=condition, then=taken, orelse=other)

    def _for(self, names: dict[str, str], depth: int) -> For:
        node, iterable, inner = self._id(), self._list(names), dict(names)
        variable = self._target(inner, "any")
        body = self._block(inner, depth + 1)
        for name in names:
            if inner[name] != names[name]:
                names[name] = "any"
        return For(id=node, variable=variable, iterable=iterable, body=body)

    # ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _any(self, names: dict[str, str]) -> Expr:
        choice = self.rng.random()
        if names and choice < 0.35:
            return Var(name=self.rng.choice(list(names)))
        if choice < 0.6:
            return self._integer(names)
        if choice < 0.7:
            return Text(parts=(Lit(value="no. "), self._integer(names)))
        if choice < 0.8:
            return DictOf(entries=(Entry(key="of", value=self._integer(names)),))
        return Lit(value=self.rng.choice([None, True, "x", 1.5, self.rng.randint(-3, 3)]))

    def _argument(self, names: dict[str, str]) -> Expr:
        return SecretRef(name="TOKEN") if self.rng.random() < 0.05 else self._any(names)

    def _integer(self, names: dict[str, str]) -> Expr:
        choice = self.rng.random()
        ints, records = self._of(names, "int"), self._of(names, "record")
        if records and choice < 0.45:
            return FieldAccess(base=Var(name=self.rng.choice(records)), key="n")
        if ints and choice < 0.7:
            return Var(name=self.rng.choice(ints))
        if choice < 0.8:
            return Arith(op=self.rng.choice(["+", "-", "*", "//"]), left=self._leaf(names), right=self._leaf(names))
        if choice < 0.84:
            return Func(name="len", args=(self._list(names),))
        return Lit(value=self.rng.randint(0, 9))

    def _leaf(self, names: dict[str, str]) -> Expr:
        ints = self._of(names, "int")
        return Var(name=self.rng.choice(ints)) if ints and self._often() else Lit(value=self.rng.randint(0, 4))

    def _list(self, names: dict[str, str]) -> Expr:
        records = self._of(names, "record")
        if records and self.rng.random() < 0.6:
            return FieldAccess(base=Var(name=self.rng.choice(records)), key="items")
        return ListOf(items=tuple(Lit(value=n) for n in range(self.rng.choice([0, 1, 2, 3, 5, 20]))))

    def _condition(self, names: dict[str, str]) -> Expr:
        maybe = self._of(names, "maybe")
        if maybe and self.rng.random() < 0.4:
            return Compare(op=CompareOp.EQ, left=Var(name=self.rng.choice(maybe)), right=Lit(value=None))
        if self.rng.random() < 0.1:
            return IndexAccess(base=self._list(names), index=Lit(value=0))
        op = self.rng.choice([CompareOp.GT, CompareOp.EQ, CompareOp.LE])
        return Compare(op=op, left=self._integer(names), right=Lit(value=self.rng.randint(0, 9)))

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, names: dict[str, str], kind: str) -> list[str]:
        """Variables of the kind; now and then any, so that faults of evaluation come up."""
        return list(names) if self.rng.random() < 0.03 else [name for name, held in names.items() if held == kind]

    def _target(self, names: dict[str, str], kind: str) -> str:
        if names and self.rng.random() < 0.3:
            name = self.rng.choice(list(names))
        else:
            self._names += 1
            name = f"v{self._names}"
        names[name] = kind
        return name

    def _often(self) -> bool:
        return self.rng.random() < 0.85

    def _id(self) -> str:
        self._ids += 1
        return f"n{self._ids}"


SHARE: Mapping[str, float] = {"read": 9, "write": 2, "assignment": 2, "if": 2, "for": 2.5, "slot": 0.1}


def random_plan(rng: Random, share: Mapping[str, float] = SHARE) -> Plan:
    return Writer(rng, share, nodes_left=rng.randint(2, 16)).plan()
