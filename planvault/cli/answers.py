"""Who answers a run's questions: the person at the terminal, or a rule that says what it did."""

import json
from collections.abc import Mapping

from rich.console import Console
from rich.prompt import Confirm, Prompt

from models.base import JsonObject, JsonValue


class AskPerson:
    """Asks at the terminal. Ctrl-D rejects, cancels, or leaves the run as it is.

    `approved`: leave for every plan was given beforehand, so plans are not asked about; `calls_approved`: the same for
    calls that a rule asks about.
    """

    def __init__(self, console: Console, *, approved: bool = False, calls_approved: bool = False) -> None:
        self._console = console
        self._approved = approved
        self._calls_approved = calls_approved

    def approve(self, question: JsonObject) -> bool:
        if self._approved:
            return True
        return self._confirm("  Run this plan?")

    def approve_call(self, question: JsonObject) -> bool:
        return self._calls_approved or self._confirm("  Make this call?")

    def _confirm(self, question: str) -> bool:
        try:
            return Confirm.ask(question, console=self._console, default=False)
        except EOFError:
            return False

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        self._complain(problems)
        try:
            return {str(slot.get("variable")): self._ask(slot) for slot in slots}
        except EOFError:
            return None

    def recover(self, question: JsonObject, problems: list[str]) -> JsonObject | None:
        self._complain(problems)
        try:
            match Prompt.ask(
                "  What became of the call?",
                console=self._console,
                choices=["done", "retry", "fail", "leave"],
                default="leave",
            ):
                case "done":
                    return {"resolution": "mark_done", "result": self._ask_json("  Its result, as JSON")}
                case "retry":
                    return {"resolution": "retry"}
                case "fail":
                    reason = Prompt.ask("  Why (for the record)", console=self._console, default="", show_default=False)
                    return {"resolution": "fail", "reason": reason}
                case _:
                    return None
        except EOFError:
            return None

    def _ask(self, slot: JsonObject) -> JsonValue:
        options = slot.get("options")
        choices = [str(option) for option in options] if isinstance(options, list) and options else None
        return Prompt.ask(f"  {slot.get('variable')} ({slot.get('type')})", console=self._console, choices=choices)

    def _ask_json(self, question: str) -> JsonValue:
        while True:
            try:
                return read_json(Prompt.ask(question, console=self._console))
            except ValueError as error:
                self._complain([str(error)])

    def _complain(self, problems: list[str]) -> None:
        for problem in problems:
            self._console.print(f"  {problem}", style="red", markup=False, soft_wrap=True)


class AnswerByRule:
    """Approves every plan and fills slots from given values, and says so: for runs that nobody attends.

    `values` are looked up by slot variable, then by a part of it; a slot without one takes its first option, and one
    without options cancels the form. What became of a lost call no rule can know: such a run is left as it is.
    """

    def __init__(
        self, console: Console, values: Mapping[str, JsonValue] | None = None, *, calls_approved: bool = False
    ) -> None:
        self._console = console
        self._calls_approved = calls_approved
        self._values = dict(values or {})

    def approve(self, question: JsonObject) -> bool:
        self._console.print("  (not a terminal: approved automatically)", style="yellow")
        return True

    def approve_call(self, question: JsonObject) -> bool:
        """Leave for plans is none for what policy asks about."""
        said = "approved automatically" if self._calls_approved else "no --approve-calls, so the call is rejected"
        self._console.print(f"  (not a terminal: {said})", style="yellow")
        return self._calls_approved

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        if problems:
            return None  # the same rule would give the same values again
        filled: JsonObject = {}
        for slot in slots:
            variable, options = str(slot.get("variable")), slot.get("options")
            known = self._value_for(variable)
            if known is None and isinstance(options, list) and options:
                known = options[0]
            if known is None:
                return None
            filled[variable] = known
        self._console.print(f"  (not a terminal: filled in {filled})", style="yellow", markup=False)
        return filled

    def recover(self, question: JsonObject, problems: list[str]) -> JsonObject | None:
        return None

    def _value_for(self, variable: str) -> JsonValue:
        named = [key for key in self._values if key == variable] or [key for key in self._values if key in variable]
        return self._values[named[0]] if named else None


class RefuseAll:
    """No to everything, aloud: nobody is there to ask and nobody gave leave."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def approve(self, question: JsonObject) -> bool:
        self._console.print("  (no terminal, no --approve: rejected)", style="yellow")
        return False

    def approve_call(self, question: JsonObject) -> bool:
        self._console.print("  (no terminal, no --approve-calls: rejected)", style="yellow")
        return False

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        self._console.print("  (no terminal to fill slots at: cancelled)", style="yellow")
        return None

    def recover(self, question: JsonObject, problems: list[str]) -> JsonObject | None:
        return None


def read_json(text: str) -> JsonValue:
    """Raises ValueError with what to write instead."""
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f'This is not JSON ({error.msg}). A text needs quotes: "booked"') from None
    return value


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON.")
