"""Secrets do not belong in a bundle: what looks like one is found before anything is signed."""

from edged.publish.secrets.finding import Finding
from edged.publish.secrets.scan import judge, refuse_secrets, scan_directory

__all__ = ["Finding", "judge", "refuse_secrets", "scan_directory"]
