"""Read settings from files: defaults first, each later file over the earlier ones.

Each file is checked by itself, so that a problem is reported with the file that has it, and all files are checked before anything is
refused. Tables merge key by key; any other value replaces the earlier one whole.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edged.codec import convert
from edged.config.checks import problems_of
from edged.config.schema import Config
from edged.errors import ConfigError, Problem
from edged.files import is_named

DEFAULT_CONFIG_PATHS: Final = (
    Path("/usr/lib/edged/edged.toml"),
    Path("/etc/edged/edged.toml"),
    Path("/etc/edged/edged.toml.d"),
)


def load_config(paths: Sequence[Path] = ()) -> Config:
    """Merge configuration files into one ``Config``.

    Args:
        paths: TOML files, or directories whose ``*.toml`` are read in order of name; names with a dot in front are editors' own. These
            must exist. None given means ``DEFAULT_CONFIG_PATHS``, of which any may be missing: edged runs with an empty /etc.

    Raises:
        ConfigError: With every problem of every file.
    """
    merged: dict[str, Any] = {}
    failures: list[ConfigError] = []
    for path in paths or DEFAULT_CONFIG_PATHS:
        try:
            files = _files_at(path, must_exist=bool(paths))
        except ConfigError as error:
            failures.append(error)
            continue
        for file in files:
            try:
                table = _read(file)
            except ConfigError as error:
                failures.append(error)
            else:
                merged = _merge(merged, table)
    if failures:
        raise _joined(failures)
    return convert(Config, merged, source="configuration", error=ConfigError)


def _files_at(path: Path, *, must_exist: bool) -> list[Path]:
    """Return the files that a path stands for.

    Raises:
        ConfigError: It cannot be looked into. Settings that may not be read are not the same as none.
    """
    try:
        names = os.listdir(path)  # noqa: PTH208 - pathlib's glob passes over what it may not read
    except NotADirectoryError:
        return [path]
    except FileNotFoundError:
        return [path] if must_exist or is_named(path) else []
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    return sorted(path / name for name in names if name.endswith(".toml") and not name.startswith("."))


def _read(file: Path) -> dict[str, Any]:
    source = _shown(file)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise _unreadable(file, exc) from exc
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, a date that is none, or nested too deep
        raise ConfigError(source, [Problem(pointer="file", expected="expected TOML", found=str(exc))]) from exc
    try:
        problems = problems_of(convert(Config, table, source=source, error=ConfigError))
    except ConfigError as error:
        problems = list(error.problems)
    if problems:
        raise ConfigError(source, [_dotted(problem) for problem in problems])
    return table


def _unreadable(path: Path, exc: OSError) -> ConfigError:
    problem = Problem(pointer="file", expected="expected a readable file or directory", found=str(exc.strerror))
    return ConfigError(_shown(path), [problem])


def _shown(path: Path) -> str:
    """Write a path as UTF-8 can have it: names are bytes, and what is said of them goes into the journal and into documents."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _dotted(problem: Problem) -> Problem:
    key = problem.pointer.removeprefix("/").replace("/", ".") or "file"
    return Problem(pointer=key, expected=problem.expected, found=problem.found)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _joined(failures: Sequence[ConfigError]) -> ConfigError:
    if len(failures) == 1:
        return failures[0]
    problems = [
        Problem(pointer=f"{failure.source}: {problem.pointer}", expected=problem.expected, found=problem.found)
        for failure in failures
        for problem in failure.problems
    ]
    return ConfigError("configuration", problems)
