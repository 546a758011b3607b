"""Which ranked tools make the shortlist: its length, and how many of one group. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.planning import Exclusion


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of a pool: those in the shortlist, best first, and why the others are not."""

    kept: Sequence[int]
    excluded: dict[int, Exclusion]


def cut(order: Sequence[int], groups: Sequence[str], limit: int, per_group: int) -> Cut:
    """`order`: rows, best first; `groups`: of each row. At most `limit` rows, `per_group` of a group (0: any number).

    Caps take tools out and never reorder: what is kept stands as it was ranked.
    """
    if not per_group:
        return Cut(order[:limit], dict.fromkeys(order[limit:], Exclusion.SHORTLIST_FULL))
    kept: list[int] = []
    excluded: dict[int, Exclusion] = {}
    taken: Counter[str] = Counter()
    for row in order:
        if taken[groups[row]] >= per_group:
            excluded[row] = Exclusion.GROUP_CAP
        elif len(kept) >= limit:
            excluded[row] = Exclusion.SHORTLIST_FULL
        else:
            taken[groups[row]] += 1
            kept.append(row)
    return Cut(kept, excluded)
