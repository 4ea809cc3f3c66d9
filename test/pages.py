"""The pages that prongd makes from its own tables are in step with the binary: `./dev format` writes them anew.
Prints `ok NAME` or `not ok NAME: why`. PRONGD names the binary (default: the optimised build).
"""

import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PRONGD = os.environ.get("PRONGD", str(TOP / "build" / "opt" / "src" / "main" / "prongd"))
PAGES = {"config": "docs/configuration.md", "signals": "docs/signals.md", "messages": "docs/messages.md",
         "man": "docs/man/prongd.toml.5.scd"}


def output(*arguments: str) -> str:
    return subprocess.run([PRONGD, *arguments], capture_output=True, text=True, check=True).stdout


def check_page(topic: str, page: str) -> str:
    made = output("--dump-reference", topic)
    file = TOP / page
    if not made.strip():
        return f"prongd --dump-reference {topic} printed nothing"
    if not file.exists():
        return f"{page} is missing; ./dev format writes it"
    return "" if file.read_text() == made else f"{page} differs from the binary; ./dev format writes it anew"


def check_schema() -> str:
    """Every key of the schema stands in the reference page."""
    schema = json.loads(output("--dump-schema"))
    reference = output("--dump-reference", "config")
    missing = sorted(key for key in keys_of(schema) if key not in reference)
    return f"not in the reference page: {', '.join(missing)}" if missing else ""


def keys_of(schema: object) -> set[str]:
    """All property names, however deep."""
    if isinstance(schema, list):
        return set().union(*(keys_of(each) for each in schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    found = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return found.union(*(keys_of(each) for each in schema.values()))


def main() -> int:
    checks = {f"{page} is in step with the binary": lambda topic=topic, page=page: check_page(topic, page)
              for topic, page in PAGES.items()}
    checks["the JSON Schema and the reference page have the same keys"] = check_schema
    failed = False
    for name, check in checks.items():
        try:
            wrong = check()
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            wrong = str(error)
        failed = failed or bool(wrong)
        print(f"not ok {name}: {wrong}" if wrong else f"ok {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
