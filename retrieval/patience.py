"""How long a selection waits for a part of the platform that is away before it does without it. No clock of its own."""

from typing import Final

# A restart of the embedder takes about six seconds, and whoever selects asks again until then. Longer than this, and
# a shortlist by text alone is better than none.
EMBEDDER_PATIENCE_S: Final = 15.0


class Absence:
    """Since when a part has been away, as one process has seen it."""

    def __init__(self, patience_s: float = EMBEDDER_PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._since: float | None = None
        self._seen: float = 0.0

    def answered(self) -> None:
        self._since = None

    def is_too_long(self, now: float) -> bool:
        """It did not answer at `now` (monotonic seconds): whether it is to be done without.

        An absence that nobody looked at for as long as the patience lasts may have ended in between: it begins anew.
        """
        if self._since is None or now - self._seen > self._patience_s:
            self._since = now
        self._seen = now
        return now - self._since >= self._patience_s
