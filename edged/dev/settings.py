"""The settings of a development directory: every path below it, one host allowed by name."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import edged
from edged.config.load import load_config
from edged.config.schema import PolicyConfig
from edged.errors import UsageError

_DIRECTORIES: Final = ("run", "state", "store")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def write_settings(
    directory: Path,
    *,
    repository: str,
    root: bytes | None,
    poll_interval_s: float,
    trial_s: float = 0.0,
    device_id: str = "",
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Make the directories and write ``edged.toml``.

    The repository's host is named in ``egress.allow_private``: a developer's host is usually this machine. Nothing else may be reached.

    Args:
        directory: Made when missing.
        repository: URL ending in a slash, or empty.
        root: TUF root metadata, when there is a repository.
        poll_interval_s: Seconds between polls.
        trial_s: How long a new version is watched before it counts as good.
        device_id: What rollouts know the device by; empty takes that of this machine.
        labels: Of the device.

    Returns:
        The settings file.

    Raises:
        UsageError: The URL cannot be used.
        ConfigError: Another of the values cannot be used.
    """
    allowed = [_host_and_port(repository)] if repository else []
    for name in _DIRECTORIES:
        (directory / name).mkdir(parents=True, exist_ok=True)
    if root is not None:
        (directory / "root.json").write_bytes(root)
    text = f"""\
[paths]
store = {_toml(f"{directory}/store")}
state = {_toml(f"{directory}/state")}
app_socket = {_toml(f"{directory}/run/edged.sock")}
admin_socket = {_toml(f"{directory}/run/admin.sock")}
tensor_socket = {_toml(f"{directory}/run/tensor.sock")}
gate_socket = {_toml(f"{directory}/run/proxy.sock")}
link_status = {_toml(f"{directory}/run/link.json")}
presence = {_toml(f"{directory}/run/presence.json")}
offload_socket = {_toml(f"{directory}/run/offload.sock")}
update_status = {_toml(f"{directory}/run/update.json")}
update_control = {_toml(f"{directory}/run/update.sock")}
frequency_wish = {_toml(f"{directory}/run/frequency.json")}
in_use = {_toml(f"{directory}/run/in-use.json")}

[repository]
url = {_toml(repository)}
root = {_toml(f"{directory}/root.json")}
poll_interval_s = {poll_interval_s}

[update]
backoff_min_s = {poll_interval_s}
backoff_max_s = {poll_interval_s * 4}

[trial]
min_s = {trial_s}

[device]
id = {_toml(device_id)}

[device.labels]
{_table(labels)}
[offload]
user = ""

[policy]
file = ""
directory = {_toml(_policies())}

[egress]
allow_private = {_toml(allowed)}
"""
    settings = directory / "edged.toml"
    settings.write_text(text, encoding="utf-8")
    load_config([settings])
    return settings


def _policies() -> str:
    """Find the policies that come with edged: those of the checkout that this runs from, else those that are installed."""
    checkout = Path(edged.__file__).parent.parent / "policies"
    return str(checkout) if checkout.is_dir() else PolicyConfig().directory


def _toml(value: str | list[str]) -> str:
    # JSON's strings and lists of strings are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(values: Mapping[str, str]) -> str:
    return "".join(f"{_toml(name)} = {_toml(value)}\n" for name, value in values.items())


def _host_and_port(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError as exc:
        raise UsageError(f"{url} is not a URL: {exc}") from exc
    if parts.hostname is None or port is None or not url.endswith("/"):
        raise UsageError(f"{url} is not a repository", hint="Give http:// or https://, a host name, and a final slash.")
    return f"{parts.hostname}:{port}"
