"""`python -m tests.replay.record`: writes the golden journals of today's schema version anew, and of no older one.

What a released version wrote is history: its journals stay as they are (`test_journals.RELEASED` holds their digests).
"""

import json

from models.events import SCHEMA_VERSION
from tests.replay.journals import dump, folder, outline
from tests.replay.stories import RECORDED


def main() -> None:
    folder(SCHEMA_VERSION).mkdir(exist_ok=True)
    for name, tell in RECORDED.items():
        story = tell()
        golden = {"outline": outline(story.state), "events": dump(story.events)}
        text = json.dumps(golden, indent=1, sort_keys=True) + "\n"
        (folder(SCHEMA_VERSION) / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
