"""Header fields that an endpoint wants as a credential, from a file that only ``edged-offload`` is given.

systemd hands over the files of ``/etc/edged/offload``, which root alone can read, in a directory that the process finds in its environment
(systemd.exec(5), LoadCredential=). A file has lines ``NAME: VALUE``. What frames a request is not for a credential to say.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edged.errors import ConfigError, EdgedError, Problem
from edged.files import read_limited

DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
PREFIX: Final = "offload_"
"""Of the files' names: systemd puts the name of the credential before that of each file of a directory."""
MAX_CREDENTIAL_BYTES: Final = 1 << 16

_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*[\x21-\x7e])[ \t]*")
_FRAMING: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-type", "accept-encoding", "expect", "te"}
)


def read_credential(name: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Read the header fields of a credential; none for the empty name.

    Raises:
        ConfigError: There is no such file, or it is not made of header fields. Nothing of it is quoted.
    """
    if not name:
        return {}
    source = f"/etc/edged/offload/{name}"
    if (directory := environ.get(DIRECTORY)) is None:
        raise _wrong(source, "expected credentials from the service manager", "none")
    return parse_credential(Path(directory) / f"{PREFIX}{name}", source=source)


def parse_credential(path: Path, *, source: str) -> dict[str, str]:
    """Read the header fields in a file.

    Args:
        path: Of the file.
        source: What to call it in errors.

    Raises:
        ConfigError: As ``read_credential``.
    """
    try:
        text = read_limited(path, max_bytes=MAX_CREDENTIAL_BYTES).decode("ascii")
    except OSError as exc:
        raise _wrong(source, "expected a readable file", str(exc.strerror)) from exc
    except (EdgedError, UnicodeDecodeError) as exc:
        raise _wrong(source, f"expected ASCII, at most {MAX_CREDENTIAL_BYTES} bytes", "something else") from exc
    fields = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        match = _FIELD.fullmatch(line)
        if match is None or match[1].lower() in _FRAMING:
            raise _wrong(source, "expected lines NAME: VALUE, of headers that do not frame a request", f"line {number}")
        fields[match[1]] = match[2]
    return fields


def _wrong(source: str, expected: str, found: str) -> ConfigError:
    return ConfigError(source, [Problem(pointer="file", expected=expected, found=found)])
