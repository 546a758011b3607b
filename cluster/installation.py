"""Whether our packages are ours: `models`, `cluster` and `migrations` are names of other projects as well."""

from importlib import metadata, util
from pathlib import Path

from planvault.errors import BringUpFailed

OUR_DISTRIBUTION = "planvault-on-ray"
ROOTS = ("models", "planvault", "retrieval", "actors", "serve_apps", "cluster", "migrations")


def faults() -> list[str]:
    """One sentence a fault, with the way out; empty when every root package is ours and comes from one place."""
    claims = metadata.packages_distributions()
    found = []
    for root in ROOTS:
        foreign = sorted(set(claims.get(root, ())) - {OUR_DISTRIBUTION})
        if foreign:
            names = " ".join(foreign)
            found.append(
                f"`{root}` is also a package of {names}. Run: pip uninstall {names}, then install PlanVault again"
            )
    home = origin("planvault")
    misplaced = [root for root in ROOTS if origin(root) != home]
    return found + [f"`{root}` is imported from {origin(root)}, not from {home}" for root in misplaced]


def refuse_foreign_packages() -> None:
    """Raises BringUpFailed: with another project's package in the place of ours, anything may happen."""
    found = faults()
    if found:
        raise BringUpFailed(f"This installation is damaged: {'; '.join(found)}.")


def origin(package: str) -> Path | None:
    """The folder from which a root package would be imported."""
    spec = util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent.parent
