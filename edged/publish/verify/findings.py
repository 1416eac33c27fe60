"""What is found in a repository: where, what is wrong, what to do about it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edged.errors import EdgedError

Severity = Literal["error", "warning", "note"]
"""Errors are what devices refuse, or what leaves them behind; warnings what will become one or looks like a slip; notes are to be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing."""

    severity: Severity
    where: str
    """A file of the repository, or what in one."""
    what: str
    advice: str = ""


def error_at(where: str, error: EdgedError) -> Finding:
    """Make a finding of an error that a device would meet."""
    return Finding(severity="error", where=where, what=error.message, advice=error.hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was looked at."""

    roles: int = 0
    versions: int = 0
    files: int = 0
    file_bytes: int = 0
    is_deep: bool = False
    """Every byte was read and hashed, rather than sizes compared."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found at one place."""

    place: str
    timestamp_version: int | None = None
    """None when no timestamp could be trusted."""
    counts: Counts = field(default_factory=Counts)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Tell whether a device could use the place."""
        return not any(finding.severity == "error" for finding in self.findings)


def compare_mirrors(reports: Sequence[Report]) -> None:
    """Add to each report that its place is behind another one."""
    versions = [report.timestamp_version for report in reports if report.timestamp_version is not None]
    newest = max(versions, default=0)
    ahead = next((report.place for report in reports if report.timestamp_version == newest), "")
    for report in reports:
        if report.timestamp_version is not None and report.timestamp_version < newest:
            what = f"it is behind: its timestamp is version {report.timestamp_version}, {ahead} has {newest}"
            advice = "Copy the repository there again, timestamp.json last."
            report.findings.append(Finding(severity="error", where="metadata/timestamp.json", what=what, advice=advice))
