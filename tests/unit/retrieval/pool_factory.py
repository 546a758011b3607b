"""Pools for ranking tests: tools and their raw scores, with only what a test cares about."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from models.ids import IntegrationId, ToolId
from retrieval.query import IndexedTool, Pool

INTEGRATION = IntegrationId(UUID(int=1))


def indexed(
    name: str,
    *,
    group: str = "shop",
    integration: IntegrationId = INTEGRATION,
    requires: Sequence[str] = (),
    produces: Sequence[str] = (),
) -> IndexedTool:
    number = int.from_bytes(name.encode()[:8], "big")
    return IndexedTool(ToolId(UUID(int=number)), 1, name, group, integration, requires, produces)


def pool_of(
    tools: Sequence[IndexedTool], dense: Sequence[Sequence[float]], lexical: Sequence[Sequence[float]] | None = None
) -> Pool:
    """`dense`, and `lexical` (zeros if left out): a row a tool, a column a part of the prompt."""
    cosines = np.array(dense, dtype=np.float32)
    texts = np.zeros_like(cosines) if lexical is None else np.array(lexical, dtype=np.float32)
    return Pool(tools, cosines, texts)


def random_pool(seed: int, tools: int, parts: int) -> Pool:
    """Groups of about ten, one tool in twenty without a vector, every seventh linked to the next."""
    random = np.random.default_rng(seed)
    listed = [
        indexed(
            f"t{row:04d}",
            group=f"g{random.integers(max(tools // 10, 1))}",
            requires=(f"e{row // 7}",) if row % 7 == 0 else (),
            produces=(f"e{row // 7}",) if row % 7 == 1 else (),
        )
        for row in range(tools)
    ]
    dense = random.normal(0.3, 0.12, (tools, parts)).astype(np.float32)
    dense[random.random(tools) < 0.05] = np.nan
    lexical = np.maximum(random.normal(0, 4, (tools, parts)), 0).astype(np.float32)
    return Pool(listed, dense, lexical)
