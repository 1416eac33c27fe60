"""Every setting, its unit, its default and its limits. Reading files is ``edged.config.load``'s work."""

from typing import Annotated, Literal

import msgspec

from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.codec import Document
from edged.ops.segments import Label

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]
HostPort = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[0-9]{1,5}$(?!\n)")]
AbsolutePath = Annotated[str, msgspec.Meta(pattern=r"^/")]
RepositoryUrl = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s]+/)?$(?!\n)")]


class PathsConfig(Document, frozen=True, kw_only=True):
    """Where edged keeps and offers things. Changing one needs a restart."""

    store: AbsolutePath = "/var/lib/edged-store"
    state: AbsolutePath = "/var/lib/edged"
    app_socket: AbsolutePath = "/run/edged/edged.sock"
    admin_socket: AbsolutePath = "/run/edged/admin.sock"
    tensor_socket: AbsolutePath = "/run/edged/tensor.sock"
    gate_socket: AbsolutePath = "/run/edged-egress/proxy.sock"
    update_status: AbsolutePath = "/run/edged-update/status.json"
    update_control: AbsolutePath = "/run/edged-update/control.sock"
    in_use: AbsolutePath = "/run/edged-daemon/in-use.json"
    """Where the daemon says which versions it uses (``edged.store.in_use``); the updater reads it before it removes anything."""


class DeviceConfig(Document, frozen=True, kw_only=True):
    """What this device is in its fleet. Changing it needs a restart."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{0,128}$(?!\n)")] = ""
    """Empty derives it from the machine ID (``edged.ops.identity``)."""
    labels: dict[Label, Label] = msgspec.field(default_factory=dict)
    """``region = "eu"``, ``ring = "canary"``: what rollouts and flags choose devices by."""


class RepositoryConfig(Document, frozen=True, kw_only=True):
    """Where updates come from."""

    url: RepositoryUrl = ""
    """Ends in a slash; empty means that nothing is fetched."""
    root: AbsolutePath = "/etc/edged/root.json"
    """The TUF root metadata this device starts its trust from."""
    poll_interval_s: Seconds = 60.0


class UpdateConfig(Document, frozen=True, kw_only=True):
    """How updates are fetched."""

    disk_reserve_bytes: Bytes = 256 << 20
    """Free disk that an update never uses up."""
    keep_versions: Annotated[int, msgspec.Meta(ge=0)] = 2
    """Versions of a model that stay in the store beside those that are used or rolled out, for as long as there is disk for them."""
    timeout_s: Seconds = 30.0
    """Longest wait for any one answer of the host."""
    backoff_min_s: Seconds = 5.0
    backoff_max_s: Seconds = 3600.0
    max_bytes: Bytes = 0
    """Most bytes that one refresh may fetch; 0 is no limit. What is left over comes with the next."""
    max_bytes_per_day: Bytes = 0
    """Most bytes in any 24 hours, over restarts and reboots; 0 is no limit."""
    metered: Literal["fetch", "wait"] = "fetch"
    """What to do with bundles while the link is metered, as the gate reports; documents and stops always come."""
    min_bytes_per_s: Bytes = 256
    """A host that sends less for longer than ``timeout_s`` is given up, and asked again later."""


class EgressConfig(Document, frozen=True, kw_only=True):
    """What may leave the device; everything else is refused."""

    allow: tuple[HostPort, ...] = ()
    """Names and ports, ``models.example.org:443``. Must resolve to public addresses."""
    allow_private: tuple[HostPort, ...] = ()
    """Names and ports that may resolve to private or loopback addresses: a mirror on the site's own network."""
    connect_timeout_s: Seconds = 10.0
    idle_timeout_s: Seconds = 120.0
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 16
    metered: Literal["yes", "no", "unknown"] = "unknown"
    """Whether bytes cost money on the link that the gate uses; it tells this whoever it opens a connection for."""


class ServeConfig(Document, frozen=True, kw_only=True):
    """What apps may ask of the socket."""

    max_body_bytes: Bytes = 64 << 20
    request_timeout_s: Seconds = 30.0
    max_queued: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Requests waiting for one model; one more is answered 503. How they are shared is in ``edged.daemon.serving.crowd``."""
    header_timeout_s: Seconds = 10.0
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 256
    max_sequences: Annotated[int, msgspec.Meta(ge=0)] = 256
    """Sequences of one model whose states are kept at a time."""
    max_sequences_per_caller: Annotated[int, msgspec.Meta(ge=0)] = 16
    max_sequence_bytes: Bytes = 64 << 20
    """Of the states of all sequences of one model."""
    sequence_idle_s: Seconds = 60.0
    """A sequence that is not continued for so long is forgotten."""


class CallerLimits(Document, frozen=True, kw_only=True):
    """What one caller may ask for; one more is answered 429."""

    rate_per_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Requests a second in the long run; 0 is no limit."""
    burst: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Requests at once, before the rate counts."""
    max_concurrent: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Requests that wait or run at a time."""
    max_queued_bytes: Bytes = 128 << 20
    """Bytes of the inputs of those requests."""


class CallerRule(Document, frozen=True, kw_only=True):
    """Limits of certain callers, in place of those of everybody. Exactly one of ``user`` and ``unit`` is given."""

    user: str = ""
    """A name, or a number as a string."""
    unit: str = ""
    """A systemd unit, ``kiosk.service``; goes before a rule for its user. Known only where edged may look into /proc."""
    limits: CallerLimits = CallerLimits()


class LimitsConfig(Document, frozen=True, kw_only=True):
    """What each caller may ask for. A caller is a user, or a systemd unit where a rule names one."""

    default: CallerLimits = CallerLimits()
    callers: tuple[CallerRule, ...] = ()


class WorkerConfig(Document, frozen=True, kw_only=True):
    """Limits on the processes that run models."""

    load_timeout_s: Seconds = 60.0
    memory_floor_bytes: Bytes = 256 << 20
    """Private memory any worker may use on top of its variant's budget (interpreter and runtime)."""
    parallel: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    """Runs of one model at once; 0 is one for each core."""
    stop_within_s: Seconds = 5.0
    """How long a run may go on after it was told to stop, before its worker is ended."""
    poison_rest_s: Seconds = 600.0
    """How long a request that ended two workers is refused."""


class Config(Document, frozen=True, kw_only=True):
    """All of edged's settings, merged from every file."""

    paths: PathsConfig = PathsConfig()
    device: DeviceConfig = DeviceConfig()
    repository: RepositoryConfig = RepositoryConfig()
    update: UpdateConfig = UpdateConfig()
    window: WindowRules = WindowRules()
    trial: TrialRules = TrialRules()
    egress: EgressConfig = EgressConfig()
    serve: ServeConfig = ServeConfig()
    limits: LimitsConfig = LimitsConfig()
    worker: WorkerConfig = WorkerConfig()
