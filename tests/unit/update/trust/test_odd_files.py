"""Files that do not look as expected: what TUF allows is accepted, everything else is refused with a name."""

import json

import pytest

from edged.errors import SignatureInvalidError, TrustError
from tests.fakes.trust_worlds import DOCUMENT


def everywhere(value):
    """Put a field that nobody knows into each object of a document, except where names are data."""
    if isinstance(value, dict):
        names_are_data = any(isinstance(v, dict) for v in value.values()) and not value.keys() & {"_type", "keytype"}
        added = (
            {} if names_are_data or all(isinstance(v, str) for v in value.values()) else {"x-unknown": [1, {"a": None}]}
        )
        return {k: everywhere(v) for k, v in value.items()} | added
    return [everywhere(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "ops"])
def test_fields_that_nobody_knows_are_accepted(world, role):
    """They are signed like all others (section 4)."""
    world.forger.target("ops", DOCUMENT, b"{}", custom={"min_version": "1.2.0"})
    world.forger.pin("ops")

    def extend(signed):
        changed = type(signed).from_dict(everywhere(signed.to_dict()))
        vars(signed).update(vars(changed))

    if role == "root":
        world.rotate(extend)
    else:
        world.forger.sign(role, extend)
        if role in {"ops", "targets"}:
            world.forger.pin(role)
        elif role == "snapshot":
            world.forger.point()
    assert b"x-unknown" in world.forger.path(role).read_bytes()

    repository = world.refresh()

    assert repository.read_target(DOCUMENT, max_bytes=10).data == b"{}"
    assert repository.custom_of("ops")[DOCUMENT]["min_version"] == "1.2.0"


def test_signature_with_more_than_it_needs_is_accepted(world):
    path = world.forger.path("timestamp")
    document = json.loads(path.read_bytes())
    document["signatures"][0]["made-with"] = "a token"
    document["signatures"].append({"keyid": "ab" * 32, "sig": "not even hexadecimal"})
    path.write_text(json.dumps(document | {"more": True}))

    world.refresh()


@pytest.mark.parametrize("is_last_genuine", [True, False])
def test_of_two_members_of_one_name_only_what_is_signed_counts(world, is_last_genuine):
    document = json.loads(world.forger.path("timestamp").read_bytes())
    genuine = document["signed"]
    forged = {**genuine, "version": 77}
    order = (forged, genuine) if is_last_genuine else (genuine, forged)
    signatures, first, last = (json.dumps(part).encode() for part in (document["signatures"], *order))
    world.forger.write("timestamp", 1, b'{"signatures":%s,"signed":%s,"signed":%s}' % (signatures, first, last))

    if is_last_genuine:
        world.refresh()
        assert world.version("timestamp") == 1
    else:
        with pytest.raises(SignatureInvalidError):
            world.refresh()


def deep(_document, depth=100_000):
    return b'{"signed":' + b"[" * depth


def deep_but_readable(document):
    inner = json.dumps(document["signed"])[1:]
    return (
        f'{{"signatures":{json.dumps(document["signatures"])},"signed":{{"x":{"[" * 500}{"]" * 500},{inner}}}'.encode()
    )


def replaced(old, new):
    def change(document):
        data = json.dumps(document).encode()
        assert old in data
        return data.replace(old, new)

    return change


ODD = {
    "nothing": lambda _: b"",
    "no JSON": lambda _: b"\xff\xfe\x00",
    "a list": lambda _: b"[]",
    "deep": deep,
    "deep but readable": deep_but_readable,
    "longer than any": lambda document: json.dumps(document).encode() + b" " * 600_000,
    "a number of 5,000 digits": replaced(b'"version": 1', b'"version": ' + b"1" * 5000),
    "version of nothing": replaced(b'"version": 1', b'"version": null'),
    "version with a fraction": replaced(b'"version": 1', b'"version": 1.5'),
    "version NaN": replaced(b'"version": 1', b'"version": NaN'),
    "version below one": replaced(b'"version": 1', b'"version": 0'),
    "half a character": replaced(b'"version": 1', b'"x": "\\ud800", "version": 1'),
    "expires never": replaced(b'"expires": "', b'"expires": "never'),
    "specification of another major version": replaced(b'"spec_version": "1', b'"spec_version": "2'),
    "two signatures of one key": lambda d: json.dumps(d | {"signatures": d["signatures"] * 2}).encode(),
}


@pytest.mark.parametrize("role", ["root", "timestamp"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_file_is_refused_with_a_name(world, role, odd):
    """All of these come from the host as it likes, or from the thief of a key: nothing but our own errors may come of them."""
    if role == "root":
        world.rotate(lambda root: setattr(root, "version", 1))
        document = json.loads((world.tree / "metadata/1.root.json").read_bytes())
    else:
        document = json.loads(world.forger.path("timestamp").read_bytes())
    path = world.tree / "metadata" / ("2.root.json" if role == "root" else "timestamp.json")
    path.write_bytes(ODD[odd](document))

    with pytest.raises(TrustError):
        world.refresh()


def test_root_with_a_kind_of_key_that_is_not_known_is_refused(world):
    """A limit of python-tuf: devices have to know a new kind of key before a root may name it, even if they could do without."""
    path = world.tree / "metadata/2.root.json"
    world.rotate()
    document = json.loads(path.read_bytes())
    document["signed"]["keys"]["ab" * 32] = {"keytype": "future", "scheme": "future-1", "keyval": {"public": "00"}}
    path.write_text(json.dumps(document))

    with pytest.raises(TrustError, match="cannot be read"):
        world.refresh()
