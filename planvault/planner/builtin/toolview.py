"""What the built-in planner knows of a tool: its words, its resource, what it needs and what it yields."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from models.tools import HttpBinding, OutputField, ParamLocation, Tool, ToolParam
from planvault.planner.builtin.english import words_of
from planvault.planner.builtin.verbs import actions_of, is_verb
from planvault.planner.builtin.words import canonical, content, is_generic, is_plural, split

_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_HEAD, _SUMMARY, _DESCRIPTION, _GROUP, _PARAM, _OUTPUT = 1.0, 0.9, 0.55, 0.45, 0.3, 0.35
_SELF = frozenset({"me", "self", "whoami"})  # by convention the signed-in user
_ID_WORDS = words_of("parameters", "identifiers")


@dataclass(frozen=True, eq=False)
class ToolView:
    tool: Tool
    rank: int  # place in the shortlist, 0 = best

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The static segments of the path, in order."""
        path = self.tool.binding.path if isinstance(self.tool.binding, HttpBinding) else ""
        return tuple(part for part in path.split("/") if part and not _PLACEHOLDER.search(part))

    @cached_property
    def head(self) -> frozenset[str]:
        """The words that say which operation this is, without verbs and words that every API uses."""
        words = [word for word in split(self.tool.name) + _words(self.segments) if not is_verb(word)]
        return frozenset(word for word in content(words) if not is_generic(word))

    @cached_property
    def named(self) -> frozenset[str]:
        """Every word of the tool's name, path and summary."""
        return frozenset(content(_words([self.tool.name, *self.segments, self.tool.summary])))

    @cached_property
    def actions(self) -> frozenset[str]:
        """The verbs that the tool is called by, if it changes something."""
        return actions_of(self.tool)

    @cached_property
    def weights(self) -> dict[str, float]:
        """How strongly a word points to this tool: the best place it stands in."""
        tool, weights = self.tool, dict[str, float]()
        parts: tuple[tuple[float, Sequence[str]], ...] = (
            (_OUTPUT, [part for field in tool.outputs[:40] for part in field.path if part != "*"]),
            (_PARAM, [param.name for param in tool.params]),
            (_GROUP, [tool.group]),
            (_DESCRIPTION, [tool.description[:400]]),
            (_SUMMARY, [tool.summary]),
            (_HEAD, [tool.name, *self.segments]),
        )
        for weight, texts in parts:
            for word in content(_words(texts)):
                if not is_generic(word):
                    weights[word] = max(weights.get(word, 0.0), weight)
        return weights

    def outputs_for(self, param: ToolParam) -> Sequence[OutputField]:
        """The output fields that could supply a parameter: of the same name, or identifying in the same way."""
        last = param.name if not is_identifier(param) else identifies(param.name)
        return self._outputs.get(last, ())

    @cached_property
    def _outputs(self) -> dict[str, list[OutputField]]:
        found: dict[str, list[OutputField]] = {}
        for output in self.tool.outputs:
            keys = [part for part in output.path if part != "*"]
            if keys:
                found.setdefault(identifies(keys[-1]) or keys[-1], []).append(output)
        return found

    @cached_property
    def required(self) -> tuple[ToolParam, ...]:
        return tuple(param for param in self.tool.params if param.required)

    @cached_property
    def resource(self) -> str:
        """What the operation is about: the path's last static segment, else the last word of its name."""
        if self.segments and self.segments[-1].lower() in _SELF:
            return canonical("user")
        last = (
            content(split(self.segments[-1])) if self.segments else sorted(self.head, key=split(self.tool.name).count)
        )
        return last[-1] if last else ""

    @cached_property
    def subjects(self) -> frozenset[str]:
        """What the operation is on, and what it belongs to."""
        return self.head.union(
            {self.resource}, *(self.resource_of(param) for param in self.tool.params if is_identifier(param))
        )

    @cached_property
    def collection(self) -> str:
        """What the operation is on all of, as `/buckets` is on buckets, and `/buckets/{id}` on one; else empty."""
        path = self.tool.binding.path.rstrip("/") if isinstance(self.tool.binding, HttpBinding) else self.tool.name
        before, _, last = path.rpartition("/")
        if before and {canonical(word) for word in split(last)[:1]} & self.actions:
            path = before  # `/customers/purge`
        return canonical(split(path)[-1]) if not path.endswith("}") and is_plural(path) else ""

    @cached_property
    def picking(self) -> tuple[ToolParam, ...]:
        """Parameters that pick some things out of a collection."""
        elsewhere = (param for param in self.tool.params if param.location is not ParamLocation.PATH)
        return tuple(param for param in elsewhere if param.required or is_identifier(param))

    def resource_of(self, param: ToolParam) -> frozenset[str]:
        """Whose identifier a parameter is: `movie_id` → movie; `id` in `/movies/{id}/cast` → movie; else empty."""
        own = [word for word in split(param.name) if word not in _ID_WORDS]
        if own:
            return frozenset(content(own))
        path = self.tool.binding.path if isinstance(self.tool.binding, HttpBinding) else ""
        before = path.split("{" + (param.wire_name or param.name) + "}")[0] if "{" in path else ""
        static = [part for part in before.split("/") if part and not _PLACEHOLDER.search(part)]
        if static:
            return frozenset(content(split(static[-1])))
        return self.head


def is_identifier(param: ToolParam) -> bool:
    """Whether a parameter's name says that it identifies something: `id`, `orderId`, `sku_code`, `uris`."""
    words = split(param.name)
    return bool(words) and words[-1] in _ID_WORDS


def identifies(name: str) -> str:
    """The identifying part of a name in the singular, or '': `movie_ids` → id, `uri` → uri, `title` → ''."""
    last = (split(name) or [""])[-1]
    return last.removesuffix("s") if last in _ID_WORDS else ""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one shortlist, in canonical form."""

    words: frozenset[str] = frozenset()  # of names, paths and summaries
    actions: frozenset[str] = frozenset()  # verbs that tools are called by
    things: frozenset[str] = frozenset()  # what operations are about, or identify


def vocabulary(tools: Sequence[ToolView]) -> Vocabulary:
    return Vocabulary(
        words=frozenset(word for view in tools for word in view.named),
        actions=frozenset(word for view in tools for word in view.actions),
        things=identified(tools) | frozenset(view.resource for view in tools if view.resource),
    )


def identified(tools: Sequence[ToolView]) -> frozenset[str]:
    """Everything that some tool identifies by an id parameter."""
    return frozenset(
        word for view in tools for param in view.tool.params if is_identifier(param) for word in view.resource_of(param)
    )


def views(tools: Sequence[Tool]) -> tuple[ToolView, ...]:
    return tuple(ToolView(tool, rank) for rank, tool in enumerate(tools))


def rarity(tools: Sequence[ToolView]) -> dict[str, float]:
    """How much a word tells tools of the shortlist apart: log(1 + N/df), over names, paths and summaries."""
    counts = Counter(word for view in tools for word, weight in view.weights.items() if weight >= _DESCRIPTION)
    return {word: math.log(1 + len(tools) / count) for word, count in counts.items()}


def list_depth(field: OutputField) -> int:
    return sum(part == "*" for part in field.path)


def _words(texts: Sequence[str]) -> list[str]:
    return [word for text in texts for word in split(text)]
