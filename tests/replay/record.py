"""`python -m tests.replay.record`: writes the golden journals anew. Say in the changelog why they changed."""

import json

from tests.replay.journals import FOLDER, RECORDED, dump, outline


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, tell in RECORDED.items():
        story = tell()
        golden = {"outline": outline(story.state), "events": dump(story.events)}
        (FOLDER / f"{name}.json").write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
