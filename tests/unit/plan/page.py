"""Reads docs/plan-language.md into its executable blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "plan-language.md"
_BLOCK = re.compile(r"^(`{3,4})([a-z-]+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_EXPECTED = re.compile(r"### ([A-Z_]+) ([^#\n]*)")


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    text: str
    line: int  # of its first line in the page

    @property
    def name(self) -> str:
        return f"{self.kind} at line {self.line}"

    def expected(self) -> list[tuple[int, str, str]]:
        """Line in the block, code and part of the message of every problem that its comments announce."""
        return [
            (number, code, part.strip())
            for number, line in enumerate(self.text.splitlines(), 1)
            for code, part in _EXPECTED.findall(line)
        ]


def blocks(kind: str) -> list[Block]:
    text = PAGE.read_text(encoding="utf-8")
    return [
        Block(match[2], match[3], text.count("\n", 0, match.start(3)) + 1)
        for match in _BLOCK.finditer(text)
        if match[2] == kind
    ]
