"""Which keys may sign: those that a trusted key introduced."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from planvault.audit.faults import FaultKind, Findings
from planvault.audit.statements import KeyIntroduction, Statement, is_signed


class Trust:
    """`pinned`: public keys that the verifier has from elsewhere.

    Without any, the chain's first key is taken at its word: whoever can forge a whole export can forge that as well.
    """

    def __init__(self, pinned: Iterable[bytes], findings: Findings) -> None:
        self._trusted = set(pinned)
        self.pinned = bool(self._trusted)
        self._findings = findings

    def introduce(self, keys: Sequence[KeyIntroduction]) -> None:
        """A key is trusted that a trusted one introduced, with its signature. So pin the oldest key that you know."""
        for key in sorted(keys, key=lambda each: each.version):
            if key.public_key in self._trusted:
                continue
            if key.introduced_by is None or key.signature is None:
                if not self.pinned and not self._trusted:
                    self._trusted.add(key.public_key)
                continue
            if key.introduced_by not in self._trusted:
                continue
            if is_signed(key, key.introduced_by, key.signature):
                self._trusted.add(key.public_key)
            else:
                self._findings.add(0, FaultKind.BAD_SIGNATURE, f"the introduction of key {key.public_key.hex()}")

    def hold(self, keys: Sequence[KeyIntroduction], held: Collection[bytes]) -> None:
        """For a verifier that has the private halves: it trusts those keys; one without is somebody else's."""
        for key in keys:
            if key.public_key not in held:
                self._findings.add(
                    0, FaultKind.UNKNOWN_KEY, f"nobody here has the private half of {key.public_key.hex()}"
                )
            elif key.version > 1 and not _is_introduced(key, held):
                self._findings.add(0, FaultKind.BAD_SIGNATURE, f"the introduction of key {key.public_key.hex()}")
        self._trusted.update(held)

    def accepts(self, seq: int, what: str, statement: Statement, public_key: bytes, signature: bytes) -> bool:
        if public_key not in self._trusted:
            self._findings.add(seq, FaultKind.UNKNOWN_KEY, f"{what} is signed by {public_key.hex()}")
            return False
        if not is_signed(statement, public_key, signature):
            self._findings.add(seq, FaultKind.BAD_SIGNATURE, what)
            return False
        return True


def _is_introduced(key: KeyIntroduction, by: Collection[bytes]) -> bool:
    if key.introduced_by is None or key.signature is None:
        return False
    return key.introduced_by in by and is_signed(key, key.introduced_by, key.signature)
