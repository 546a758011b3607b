"""Who answers a run's questions: the person at the terminal, or a rule that says what it did."""

from collections.abc import Mapping

from rich.console import Console
from rich.prompt import Confirm, Prompt

from models.base import JsonObject, JsonValue


class AskPerson:
    """Asks at the terminal. Ctrl-D rejects or cancels."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def approve(self, question: JsonObject) -> bool:
        try:
            return Confirm.ask("  Run this plan?", console=self._console, default=False)
        except EOFError:
            return False

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        for problem in problems:
            self._console.print(f"  {problem}", style="red", markup=False)
        try:
            return {str(slot.get("variable")): self._ask(slot) for slot in slots}
        except EOFError:
            return None

    def _ask(self, slot: JsonObject) -> JsonValue:
        options = slot.get("options")
        choices = [str(option) for option in options] if isinstance(options, list) and options else None
        return Prompt.ask(f"  {slot.get('variable')} ({slot.get('type')})", console=self._console, choices=choices)


class AnswerByRule:
    """Approves every plan and fills slots from given values, and says so: for runs that nobody attends.

    `values` are looked up by slot variable, then by a part of it; a slot without one takes its first option, and one
    without options cancels the form.
    """

    def __init__(self, console: Console, values: Mapping[str, JsonValue] | None = None) -> None:
        self._console = console
        self._values = dict(values or {})

    def approve(self, question: JsonObject) -> bool:
        self._console.print("  (not a terminal: approved automatically)", style="yellow")
        return True

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

    def _value_for(self, variable: str) -> JsonValue:
        named = [key for key in self._values if key == variable] or [key for key in self._values if key in variable]
        return self._values[named[0]] if named else None


class RefuseAll:
    """Rejects every plan and cancels every form, and says so: nobody is there to ask and nobody allowed it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def approve(self, question: JsonObject) -> bool:
        self._console.print("  (not a terminal, nobody to ask: rejected)", style="yellow")
        return False

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        self._console.print("  (not a terminal, nobody to ask: cancelled)", style="yellow")
        return None
