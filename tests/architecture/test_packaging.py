"""Our root packages have common names; nobody else's distribution may claim one in this environment."""

from importlib import metadata

ROOTS = {"models", "planvault", "retrieval", "actors", "serve_apps", "cluster", "migrations"}


def test_no_foreign_distribution_claims_a_root_package() -> None:
    owners = metadata.packages_distributions()
    foreign = {root: set(owners.get(root, [])) - {"planvault-on-ray"} for root in ROOTS}
    assert {root: names for root, names in foreign.items() if names} == {}
