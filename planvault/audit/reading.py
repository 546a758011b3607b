"""An export, verified line by line as it comes: no more than one row is held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson

from models.base import JsonValue
from planvault.audit.export import Line, read_first, read_head, read_key, read_row, read_segment
from planvault.audit.faults import FaultKind, Findings, Report
from planvault.audit.statements import KeyIntroduction, SignedHead
from planvault.audit.verify import Verifier

_BROKEN = (KeyError, TypeError, ValueError)  # orjson's decoding error is a ValueError


def verify_export(
    lines: Iterable[bytes], *, pinned: Sequence[bytes] = (), expected: Sequence[SignedHead] = ()
) -> Report:
    """`pinned`: public keys that the verifier trusts; `expected`: heads that were exported before, and kept."""
    reader = ExportReader(pinned, expected)
    for line in lines:
        reader.take(line)
    return reader.finish()


class ExportReader:
    """Takes the lines of an export one after the other."""

    def __init__(self, pinned: Sequence[bytes] = (), expected: Sequence[SignedHead] = ()) -> None:
        self._pinned = pinned
        self._expected = expected
        self._keys: list[KeyIntroduction] = []
        self._number = 0
        self._past_keys = self._in_rows = self._ended = self._details = False
        self._findings = Findings()
        self._verifier: Verifier | None = None

    def take(self, text: bytes) -> None:
        """What is no line of an export is a fault, as what a line says may be."""
        self._number += 1
        try:
            self._take(orjson.loads(text))
        except _BROKEN as fault:
            seq = 0 if self._verifier is None else self._verifier.seq
            told = f"line {self._number} is no part of an export: {type(fault).__name__}: {fault}"
            self._findings.add(seq, FaultKind.INCOMPLETE, told)

    def finish(self) -> Report:
        verifier = self._verifier
        if verifier is None:
            self._findings.add(0, FaultKind.INCOMPLETE, "this is no export of an audit log")
            return Report(faults=tuple(self._findings.faults), fault_count=self._findings.count)
        self._begin_rows(verifier)
        if not self._ended:
            self._findings.add(verifier.seq, FaultKind.INCOMPLETE, "the export has no head at its end: it was cut off")
        return replace(verifier.report(), details=self._details)

    def _take(self, line: Line) -> None:
        kind = line["type"]
        if kind == "export":
            if self._verifier is not None:
                raise ValueError("a second beginning")
            org_id, self._details = read_first(line)
            self._verifier = Verifier(org_id, pinned=self._pinned, findings=self._findings)
        elif self._verifier is None:
            raise ValueError("nothing comes before the line of type export")
        elif self._ended:
            raise ValueError("nothing comes behind the head")
        elif kind in ("row", "head"):
            self._begin_rows(self._verifier)
            if kind == "row":
                self._verifier.row(read_row(line, details=self._details))
            else:
                self._ended = True
                self._verifier.last(read_head(line))
        elif self._in_rows:
            raise ValueError(f"a line of type {kind} behind the rows")
        else:
            self._statement(self._verifier, kind, line)

    def _statement(self, verifier: Verifier, kind: JsonValue, line: Line) -> None:
        if kind == "key" and not self._past_keys:
            self._keys.append(read_key(line))
            return
        self._end_keys(verifier)
        if kind == "segment":
            verifier.segment(read_segment(line))
        elif kind == "anchor":
            verifier.expect(read_head(line), "an anchor")
        else:
            raise ValueError(f"no line of type {kind} belongs here")

    def _end_keys(self, verifier: Verifier) -> None:
        if not self._past_keys:
            self._past_keys = True
            verifier.keys(self._keys)

    def _begin_rows(self, verifier: Verifier) -> None:
        self._end_keys(verifier)
        if not self._in_rows:
            self._in_rows = True
            for head in self._expected:
                verifier.expect(head, "a head that was exported before")
