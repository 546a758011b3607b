"""Names and sizes of the platform's parts, in one place: what runs where, and what it may take.

Two cores carry everything: shares are small fractions, because Ray only uses them to place processes, not to cap them.
"""

from pathlib import Path
from typing import Literal, TypeAlias

# The Ray namespace of all detached actors, and of the driver that starts them.
NAMESPACE = "planvault"

# Serve applications, in the order in which people think of them.
App: TypeAlias = Literal["api", "embedder", "planner"]
APPS: tuple[App, ...] = ("api", "embedder", "planner")

# Everything that a bring-up reports on, in order.
Part: TypeAlias = Literal["database", "ray", "actors", "api", "embedder", "planner", "health"]
PARTS: tuple[Part, ...] = ("database", "ray", "actors", *APPS, "health")

DEFAULT_PORT = 8080
LOOPBACK = "127.0.0.1"

# Ray's dashboard has this port everywhere else too; a free one is taken where another cluster holds it.
DASHBOARD_PORT = 8265

# Tools' results travel through Postgres and HTTP; the object store carries little. Ray's minimum is 75 MiB.
OBJECT_STORE_BYTES = 100 * 1024 * 1024

# The longest Ray folder under which its socket names still fit into 107 bytes.
RAY_DIR_MAX = 40

SERVE_CONFIG = Path(__file__).with_name("serve.yaml")
