"""Read settings from files: defaults first, each later file over the earlier ones.

Each file is checked by itself, so that a problem is reported with the file that has it, and all files are checked before anything is
refused. Tables merge key by key; any other value replaces the earlier one whole.
"""

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
        paths: TOML files, or directories whose ``*.toml`` are read in order of name. These must exist. None given means
            ``DEFAULT_CONFIG_PATHS``, of which any may be missing: edged runs with an empty /etc.

    Raises:
        ConfigError: With every problem of every file.
    """
    merged: dict[str, Any] = {}
    failures: list[ConfigError] = []
    for file in _files(paths or DEFAULT_CONFIG_PATHS, must_exist=bool(paths)):
        try:
            table = _read(file)
        except ConfigError as error:
            failures.append(error)
        else:
            merged = _merge(merged, table)
    if failures:
        raise _joined(failures)
    return convert(Config, merged, source="configuration", error=ConfigError)


def _files(paths: Sequence[Path], *, must_exist: bool) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(path.glob("*.toml"))
        elif must_exist or is_named(path):
            files.append(path)
    return files


def _read(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(
            str(file), [Problem(pointer="file", expected="expected a readable file", found=str(exc.strerror))]
        ) from exc
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, a date that is none, or nested too deep
        raise ConfigError(str(file), [Problem(pointer="file", expected="expected TOML", found=str(exc))]) from exc
    try:
        problems = problems_of(convert(Config, table, source=str(file), error=ConfigError))
    except ConfigError as error:
        problems = list(error.problems)
    if problems:
        raise ConfigError(str(file), [_dotted(problem) for problem in problems])
    return table


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
