"""Every setting, its unit, its default and its limits. Reading files is ``edged.config.load``'s work."""

from typing import Annotated, Final, Literal

import msgspec

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN
from edged.ops.segments import Label
from edged.select.warm import WarmRules

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]
HostPort = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[0-9]{1,5}$(?!\n)",
        description="a host name in lower case and a port, as models.example.org:443",
    ),
]
AbsolutePath = Annotated[str, msgspec.Meta(pattern=r"^/", description="a path that begins with /")]
DEFAULT_POLICY_FILE: Final = "/etc/edged/policy.toml"
RepositoryUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(https?://[^\s]+/)?$(?!\n)",
        description="a URL that begins with https:// or http:// and ends in a slash",
    ),
]
EndpointUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^https://[^\s#]+$(?!\n)",
        description="a URL that begins with https:// (nothing else leaves a device), without a #",
    ),
]
CredentialName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,127})?$(?!\n)",
        description="the name of a file, of letters, digits, '.', '_' and '-', at most 128, the first a letter or digit",
    ),
]


class PathsConfig(Document, frozen=True, kw_only=True):
    """Where edged keeps and offers things. Changing one needs a restart."""

    store: AbsolutePath = "/var/lib/edged-store"
    state: AbsolutePath = "/var/lib/edged"
    app_socket: AbsolutePath = "/run/edged/edged.sock"
    admin_socket: AbsolutePath = "/run/edged/admin.sock"
    tensor_socket: AbsolutePath = "/run/edged/tensor.sock"
    gate_socket: AbsolutePath = "/run/edged-egress/proxy.sock"
    link_status: AbsolutePath = "/run/edged-link/link.json"
    """Where the gate says what network it uses (``edged.egress.link``). Not beside its socket, which the daemon has no business to see."""
    presence: AbsolutePath = "/run/edged-presence/presence.json"
    """Where ``edged-presence``, if it is enabled, says whether somebody uses the device (``edged.presence.report``)."""
    offload_socket: AbsolutePath = "/run/edged-offload/offload.sock"
    """Where ``edged-offload`` takes requests that may leave the device; the daemon's alone."""
    update_status: AbsolutePath = "/run/edged-update/status.json"
    update_control: AbsolutePath = "/run/edged-update/control.sock"
    frequency_wish: AbsolutePath = "/run/edged-daemon/frequency.json"
    """Where the daemon says how fast processors should be at most (``edged.frequency.wish``)."""
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


class SenseConfig(Document, frozen=True, kw_only=True):
    """How the device looks at itself."""

    poll_s: Annotated[float, msgspec.Meta(ge=0.05, le=10)] = 5.0
    """Between two looks at the sensors; what the kernel tells of is looked at at once."""
    cool_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0
    """For so long a sensor has to be well below the beginning of its thermal level before the level is left."""
    sysfs: AbsolutePath = "/sys"
    """Where the kernel shows its sensors. Changing it needs a restart."""
    procfs: AbsolutePath = "/proc"
    """Where it shows load, pressure and memory. Changing it needs a restart."""


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


class EndpointConfig(Document, frozen=True, kw_only=True):
    """Where requests of one model may be answered outside of this device."""

    url: EndpointUrl
    """Takes requests of the Open Inference Protocol v2: ``https://models.example.org/v2/models/NAME/infer``. Nothing but TLS."""
    private: bool = False
    """The name may resolve to private or loopback addresses: a server on the site's own network."""
    credential: CredentialName = ""
    """A file of ``/etc/edged/offload`` with lines ``NAME: VALUE``, sent as headers; empty sends none."""
    timeout_s: Seconds = 10.0
    max_request_bytes: Bytes = 4 << 20
    max_answer_bytes: Bytes = 4 << 20
    max_per_minute: Annotated[float, msgspec.Meta(gt=0, le=60_000)] = 60.0
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4


class OffloadConfig(Document, frozen=True, kw_only=True):
    """Answers from outside, where a policy allows them and the caller agrees. Changing it needs a restart."""

    user: str = "edged-offload"
    """The only user that the gate connects with endpoints, and with nothing else. Empty makes no difference between users."""
    endpoints: dict[Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)], EndpointConfig] = msgspec.field(
        default_factory=dict
    )
    """By model."""


class PolicyConfig(Document, frozen=True, kw_only=True):
    """Which rules decide about requests, beside those of the fleet (``edged.policy.combine``). A reload reads them again."""

    name: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$(?!\n)")] = "default"
    """One of the policies that come with edged; empty leaves only the built-in rule."""
    file: Annotated[str, msgspec.Meta(pattern=r"^(/|$)", description="a path that begins with /, or nothing")] = (
        DEFAULT_POLICY_FILE
    )
    """The administrator's own policy; its rules are asked before all others but overrides. The default may be missing; empty is none."""
    directory: AbsolutePath = "/usr/lib/edged/policies"
    """Where the policies are that come with edged."""


class RegulatoryConfig(Document, frozen=True, kw_only=True):
    """What the rules of the site demand, whatever any policy says."""

    mode: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")] = "standard"
    """Any name; policies may ask for it as ``regulatory``."""
    forbid_offload: bool = False
    """No request leaves the device."""
    log_decisions: bool = False
    """Each change of a decision is in the journal."""


class ServeConfig(Document, frozen=True, kw_only=True):
    """What apps may ask of the socket."""

    max_body_bytes: Bytes = 64 << 20
    request_timeout_s: Seconds = 30.0
    background_timeout_s: Seconds = 3600.0
    """The most that a background request may ask for in ``parameters.timeout``. Once it runs it has ``request_timeout_s``, as any other."""
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


class BackgroundConfig(Document, frozen=True, kw_only=True):
    """Background requests that are kept until they may run; one more is answered 503 (``edged.daemon.decisions.holding``)."""

    max_kept: Annotated[int, msgspec.Meta(ge=0)] = 128
    """Requests in all; 0 keeps none. Each of them has its connection, of which there are ``serve.max_connections``."""
    max_bytes: Bytes = 64 << 20
    """Of their inputs."""
    max_kept_per_caller: Annotated[int, msgspec.Meta(ge=0)] = 32
    """Requests of one user among them. They count among the requests that the user has under way (``limits.max_concurrent``)."""
    max_bytes_per_caller: Bytes = 32 << 20
    at_once: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    """Of the requests that were kept for one model, so many wait in its queue or run at a time once they may."""


class CacheConfig(Document, frozen=True, kw_only=True):
    """Answers that background requests have made, and features on the way to them, that are used again (``edged.daemon.cache``)."""

    max_bytes: Bytes = 16 << 20
    """Of all that is kept; 0 keeps nothing. Features go first, and never cost an answer."""
    max_entries: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 4096
    max_input_bytes: Bytes = 64 << 10
    """A request with larger inputs is always run: to read them would take longer than others should wait."""
    shared: bool = False
    """A user may be given what another one's request has made. How fast an answer comes then tells users what others have asked."""


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
    """Runs of one model at once; 0 is one for each core, but no more than 64."""
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
    shadow: ShadowRules = ShadowRules()
    trial: TrialRules = TrialRules()
    sense: SenseConfig = SenseConfig()
    egress: EgressConfig = EgressConfig()
    offload: OffloadConfig = OffloadConfig()
    policy: PolicyConfig = PolicyConfig()
    regulatory: RegulatoryConfig = RegulatoryConfig()
    serve: ServeConfig = ServeConfig()
    background: BackgroundConfig = BackgroundConfig()
    cache: CacheConfig = CacheConfig()
    limits: LimitsConfig = LimitsConfig()
    worker: WorkerConfig = WorkerConfig()
    variants: WarmRules = WarmRules()
