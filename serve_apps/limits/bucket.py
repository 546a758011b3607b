"""What one process knows of a bucket that all of them take from. Pure: time comes in as seconds of one steady clock.

A bucket is the generic cell rate algorithm's (ITU-T I.371): a request weighs `quota.interval_s`, the weights of those
admitted add up to `ahead`, which flows off at a second a second, and may not come to more than the quota's seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.rate_limits import Quota

_SHARE = 10
_ROUNDING_S = 1e-6


@dataclass(slots=True)
class Bucket:
    """`ahead` was true `as_of`; since then this process has admitted `unsent` + `sent` seconds that it did not hold.

    `read_at`: when it was read last, None before the first time. Other processes only add to `ahead`: what is known
    here is the most that may be left.
    """

    ahead: float = 0.0
    as_of: float = 0.0
    read_at: float | None = None
    unsent: float = 0.0
    sent: float = 0.0

    def ahead_at(self, now: float) -> float:
        """Seconds from full, with all that was admitted here."""
        flowed_off = max(0.0, now - self.as_of)
        return max(0.0, self.ahead - flowed_off) + self.unsent + self.sent

    def wait(self, quota: Quota, now: float) -> float:
        """Seconds until one more request fits; 0 where it fits now."""
        late = self.ahead_at(now) + quota.interval_s - quota.seconds
        return late if late > _ROUNDING_S else 0.0

    def left(self, quota: Quota, now: float) -> int:
        """Requests that fit now."""
        return max(0, int((quota.seconds - self.ahead_at(now) + _ROUNDING_S) / quota.interval_s))

    def may_go_ahead(self, quota: Quota) -> bool:
        """Whether one more may be admitted before the others have been told of those admitted since."""
        return self.unsent + self.sent < share(quota) * quota.interval_s - _ROUNDING_S

    def told(self, ahead: float, now: float) -> None:
        """What all processes together have taken, what was sent from here included."""
        self.ahead, self.as_of, self.read_at = max(0.0, ahead), now, now
        self.sent = 0.0

    def alone(self, now: float) -> None:
        """Nobody can be told: what was admitted counts here."""
        self.ahead, self.as_of = self.ahead_at(now), now
        self.unsent = self.sent = 0.0


def share(quota: Quota) -> int:
    """Requests that one process may admit before it tells; what N processes admit too many is at most N times it."""
    return max(1, quota.requests // _SHARE)
