"""Where a program stands in the planner's answer, and how positions in it translate back.

Models wrap programs in prose, `<script>` tags and Markdown fences. The program is, in this order: what the last
`<script>` holds; else the last fenced block; else all of the text. Inside the tags one fence is taken off as well.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.plans import Loc
from planvault.plan.problems import Problems


class Source(Protocol):
    """A text to parse that knows where it stood in the planner's answer."""

    @property
    def text(self) -> str: ...

    def at(self, line: int, column: int) -> Loc:
        """1-based line and column of `text` → of the answer."""
        ...


_OPEN = re.compile(r"<script\b[^>\n]{0,200}>", re.IGNORECASE)
_CLOSE = re.compile(r"</script\s*>", re.IGNORECASE)
_BLANK_LINE = re.compile(r"[^\S\n]*\n")
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Program:
    """A program whose first line is `first_line` of the answer (1-based); each line lost `indent` characters.

    `first_column` is the 1-based column at which the first line started.
    """

    lines: tuple[str, ...]
    first_line: int = 1
    first_column: int = 1
    indent: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def locate(self, node: ast.AST) -> Loc:
        """The position of a syntax node."""
        line, column = node_position(node, self.lines)
        return self.at(line, column)

    def at(self, line: int, column: int) -> Loc:
        """1-based line and column of the program → of the answer."""
        shift = self.indent + (self.first_column - 1 if line == 1 else 0)
        return Loc(self.first_line + line - 1, column + shift)


def node_position(node: ast.AST, lines: Sequence[str]) -> tuple[int, int]:
    """1-based line and column of a syntax node; ast counts columns in UTF-8 bytes."""
    line, byte_column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    content = lines[line - 1] if 0 < line <= len(lines) else ""
    return line, len(content.encode("utf-8")[:byte_column].decode("utf-8", "ignore")) + 1


def find_program(answer: str, problems: Problems) -> Program:
    """The program in a planner's answer."""
    start, end = _script(answer, problems)
    fences = list(_FENCE.finditer(answer, start, end))
    if fences:
        start, end = fences[-1].span(2)
    return _dedented(answer, start, end)


def find_json(answer: str) -> tuple[str, int]:
    """The JSON object in a planner's answer, and its offset: all of it, a fenced block, or from the first brace on."""
    fences = list(_FENCE.finditer(answer))
    start, end = fences[-1].span(2) if fences and not answer.lstrip().startswith("{") else (0, len(answer))
    opening, closing = answer.find("{", start, end), answer.rfind("}", start, end)
    return (answer[opening : closing + 1], opening) if 0 <= opening < closing else (answer[start:end], start)


def _script(answer: str, problems: Problems) -> tuple[int, int]:
    opened = list(_OPEN.finditer(answer))
    if not opened:
        return 0, len(answer)
    start = opened[-1].end()
    closed = _CLOSE.search(answer, start)
    if closed is None:
        line = answer.count("\n", 0, start) + 1
        problems.add(
            "SCRIPT_NOT_CLOSED",
            "The <script> is not closed: the plan may be cut off.",
            Loc(line, 1),
            "End it with </script>.",
        )
        return start, len(answer)
    return start, closed.start()


def _dedented(answer: str, start: int, end: int) -> Program:
    """The stretch without blank lines at its ends and without the indentation that all of its lines share."""
    while blank := _BLANK_LINE.match(answer, start, end):
        start = blank.end()
    first_line = answer.count("\n", 0, start) + 1
    first_column = start - (answer.rfind("\n", 0, start) + 1) + 1
    lines = answer[start:end].rstrip().split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip(" \t"))
    margin = lines[0][:indent]
    if not all(line.startswith(margin) or not line.strip() for line in lines):
        indent = 0
    return Program(tuple(line[indent:] for line in lines), first_line, first_column, indent)
