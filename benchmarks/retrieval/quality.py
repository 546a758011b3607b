"""What a method's rankings hold of what the prompts need, by split and overall."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.datasets import Prompt
from benchmarks.retrieval.metrics import Figures, Interval, difference, figures, intervals

OVERALL = "all"
Table: TypeAlias = Mapping[str, Mapping[str, Interval]]  # split → metric → interval


@dataclass(slots=True)
class Quality:
    """Rankings come in prompt by prompt, from every method."""

    seed: int
    _splits: list[str] = field(default_factory=list)
    _scored: dict[str, list[Figures]] = field(default_factory=dict)

    def add(self, prompt: Prompt, rankings: Mapping[str, Sequence[str]]) -> None:
        self._splits.append(prompt.split)
        for method, ranking in rankings.items():
            self._scored.setdefault(method, []).append(figures(ranking, prompt.slots))

    def tables(self) -> dict[str, Table]:
        return {method: self._by_split(scored) for method, scored in self._scored.items()}

    def differences(self, ours: str, others: Sequence[str]) -> dict[str, Mapping[str, Interval]]:
        """Ours minus each of the others, over all prompts."""
        mine = self._scored[ours]
        return {other: difference(mine, self._scored[other], seed=self.seed) for other in others}

    def _by_split(self, scored: Sequence[Figures]) -> Table:
        parts: dict[str, list[Figures]] = defaultdict(list)
        for split, one in zip(self._splits, scored, strict=True):
            parts[split].append(one)
        named = {split: intervals(part, seed=self.seed) for split, part in sorted(parts.items()) if split}
        return {OVERALL: intervals(scored, seed=self.seed), **named}
