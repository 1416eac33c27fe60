"""Files of a repository that nothing in force refers to. Pure.

There are good reasons for them: documents that were replaced, a publish that was interrupted, versions of a bundle that was never signed.
Old metadata belongs to the repository and is not counted; devices may be on their way from it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from edged.publish.repository.tree import METADATA_LOCK, WORK_LOCK
from edged.publish.verify.findings import Finding
from edged.quantities import bytes_text

_LOCKS: Final = frozenset({WORK_LOCK, METADATA_LOCK})


def find_rest(sizes: Mapping[str, int], referred: Collection[str]) -> Iterator[Finding]:
    """Say how much there is, by the directory it is in.

    Args:
        sizes: Of every file, by its path.
        referred: Paths below targets, blobs and index that something in force names.
    """
    rest: dict[str, list[str]] = {}
    for path in sorted(sizes.keys() - set(referred) - _LOCKS):
        top = path.partition("/")[0] if "/" in path else "."
        if top != "metadata":
            rest.setdefault(top, []).append(path)
    for top, paths in rest.items():
        size = bytes_text(sum(sizes[path] for path in paths))
        count = f"{len(paths)} files, {size}, are" if len(paths) > 1 else f"a file, {size}, is"
        what = f"{count} referred to by nothing in force, {paths[0]} for one"
        yield Finding(severity="note", where="the top directory" if top == "." else top, what=what)
