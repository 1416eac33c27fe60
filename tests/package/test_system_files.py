"""Users, directories, sockets, catalog and default settings: what several files say must be the same thing."""

import re
import tomllib
from pathlib import Path

import msgspec

from edged.config.checks import problems_of
from edged.config.load import load_config
from edged.config.schema import CallerLimits, CallerRule, Config
from edged.journal import EVENTS

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"


def read(name):
    """Return a file of systemd/ as text."""
    return (SYSTEMD / name).read_text(encoding="utf-8")


def table(name):
    """Return the lines of a sysusers.d or tmpfiles.d file, split into fields."""
    return [line.split() for line in read(name).splitlines() if line and not line.startswith("#")]


def values(name, key):
    """Return every value of a setting in a unit."""
    return re.findall(rf"(?m)^{key}=(.*)$", read(name))


def vars_of(value):
    """Return settings as tables of tables, those that are as by default included."""
    if isinstance(value, msgspec.Struct):
        return {name: vars_of(getattr(value, name)) for name in value.__struct_fields__}
    return value


def names_of(table, place=""):
    """Return every setting of a table by its full name."""
    return {
        name
        for key, value in table.items()
        for name in (names_of(value, f"{place}{key}.") if isinstance(value, dict) and value else [f"{place}{key}"])
    }


def test_catalog_explains_every_event():
    """An event that an operator may act on has a page; a page belongs to an event."""
    entries = re.findall(r"(?m)^-- ([0-9a-f]{32})$", read("edged.catalog"))
    assert sorted(entries) == sorted(event.message_id for event in EVENTS)


def test_catalog_entries_are_complete():
    """systemd.io/CATALOG: a subject and who defined it, a blank line, then the text."""
    for entry in re.split(r"(?m)^-- .*\n", read("edged.catalog"))[1:]:
        header, _, text = entry.partition("\n\n")
        assert header.startswith("Subject: ")
        assert "\nDefined-By: edged" in header
        assert text.strip()


def test_units_run_as_users_that_exist():
    """Every user and group named in a unit comes from sysusers.d."""
    made = {fields[1] for fields in table("edged.sysusers") if fields[0] in {"u", "g"}} | {"root"}
    for unit in [*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.socket")]:
        for key in ("User", "Group", "SocketUser", "SocketGroup"):
            assert set(values(unit.name, key)) <= made, unit.name


def test_only_two_may_use_the_gate():
    """Membership in the gate's group is the way out to the network: for updates, and for what may leave the device."""
    members = [fields[1:] for fields in table("edged.sysusers") if fields[0] == "m"]
    assert members == [["edged-offload", "edged-egress"], ["edged-update", "edged-egress"]]


def test_only_the_daemon_may_send_requests_out():
    """Apps share the daemon's group, so the socket is open to its user alone."""
    assert values("edged-offload.socket", "SocketUser") == values("edged.service", "User")
    assert values("edged-offload.socket", "SocketMode") == ["0600"]


def test_directories_of_units_exist():
    """Every directory of edged that a unit binds, roots in or listens in comes from tmpfiles.d."""
    made = {fields[1] for fields in table("edged.tmpfiles")}
    for unit in [*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.socket")]:
        keys = ("BindPaths", "BindReadOnlyPaths", "RootDirectory")
        used = " ".join(line for key in keys for line in values(unit.name, key))
        directories = {path for path in used.split() if "edged" in path}
        sockets = [*values(unit.name, "ListenStream"), *values(unit.name, "ListenSequentialPacket")]
        directories |= {str(Path(path).parent) for path in sockets}
        assert directories <= made, unit.name


def test_directories_belong_to_users_that_exist():
    """Owners in tmpfiles.d come from sysusers.d, and nothing is writable for others."""
    made = {fields[1] for fields in table("edged.sysusers")} | {"root"}
    for _, path, mode, user, group, _ in table("edged.tmpfiles"):
        assert {user, group} <= made, path
        assert int(mode, 8) & 0o022 == 0, path


def test_sockets_are_where_the_settings_say():
    """Units and defaults name the same paths."""
    paths = Config().paths
    assert values("edged.socket", "ListenStream") == [paths.app_socket]
    assert values("edged-admin.socket", "ListenStream") == [paths.admin_socket]
    assert values("edged-tensor.socket", "ListenSequentialPacket") == [paths.tensor_socket]
    assert values("edged-egress.socket", "ListenStream") == [paths.gate_socket]
    assert values("edged-offload.socket", "ListenStream") == [paths.offload_socket]
    assert values("edged-update.socket", "ListenSequentialPacket") == [paths.update_control]


def test_packaged_settings_are_the_defaults():
    """A device behaves the same with and without /usr/lib/edged/edged.toml."""
    assert load_config([SYSTEMD / "edged.toml"]) == Config()


def test_example_of_a_rule_for_callers_is_one():
    """What the file shows as a comment can be copied as it is, and names every key of a rule."""
    shown = "\n".join(re.findall(r"(?m)^#   (.*)$", read("edged.toml").partition("[limits]")[2]))
    rules = tomllib.loads(shown)["limits"]["callers"]

    assert not problems_of(msgspec.convert({"limits": {"callers": rules}}, Config))
    assert set().union(*rules) == set(CallerRule.__struct_fields__)
    assert set().union(*(rule["limits"] for rule in rules)) == set(CallerLimits.__struct_fields__)


def test_packaged_settings_list_every_one_with_a_comment():
    """The file is also where an operator looks up what can be set."""
    lines = read("edged.toml").splitlines()
    # What is unset by default is shown as a comment, because TOML has no word for it.
    shown = tomllib.loads(re.sub(r"(?m)^# (\w+ = [^=\n]+)$", r"\1", read("edged.toml")))

    assert names_of(shown) == names_of(vars_of(Config()))
    assert all(lines[i - 1].startswith("# ") for i, line in enumerate(lines) if " = " in line and line[0] != "#")
