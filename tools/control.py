# ruff: noqa: INP001 - scripts beside the package need no package of their own
"""Print the packages that debian/control asks for, one a line, for root file systems that have to hold them.

Usage: control.py CONTROL build|run

``build`` is Build-Depends of the source; ``run`` is Depends of every binary package. Versions, build profiles and substitution
variables are dropped, and so are the packages that this source builds.
"""

import re
import sys
from pathlib import Path

KINDS = {"build": "Build-Depends", "run": "Depends"}


def read_control(text: str) -> list[dict[str, str]]:
    """Parse the paragraphs of a control file (Debian Policy 5.1) into field values, continuation lines joined."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", text).strip()):
        fields = re.findall(r"(?m)^([A-Za-z-]+):((?:.*\n?)(?:[ \t].*\n?)*)", block + "\n")
        paragraphs.append({name: " ".join(value.split()) for name, value in fields})
    return paragraphs


def package_names(paragraphs: list[dict[str, str]], kind: str) -> list[str]:
    """Return the names in one kind of dependency field, sorted, without the source's own packages."""
    own = {paragraph.get("Package", "") for paragraph in paragraphs}
    relations = ",".join(paragraph.get(KINDS[kind], "") for paragraph in paragraphs).split(",")
    names = {re.split(r"[\s:(<\[|]", relation.strip())[0] for relation in relations if "${" not in relation}
    return sorted(names - own - {""})


if __name__ == "__main__":
    for name in package_names(read_control(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2]):
        sys.stdout.write(f"{name}\n")
