from datetime import UTC, datetime

import pytest
from tuf.api.metadata import TargetFile, Targets

from edged.errors import TrustError, UsageError
from edged.ids import Version
from edged.publish.fleet.floor import floor_of, published_versions, raise_floor


@pytest.fixture
def role():
    targets = Targets(version=1, expires=datetime.now(UTC).replace(microsecond=0))
    for version in ("1.10.0", "1.9.0", "1.0.0"):
        path = f"models/adder/{version}/manifest.json"
        targets.targets[path] = TargetFile(length=1, hashes={"sha256": "0" * 64}, path=path)
    return targets


def custom(role, version):
    return role.targets[f"models/adder/{version}/manifest.json"].custom


def test_versions_are_in_their_order(role):
    assert [str(version) for version in published_versions(role)] == ["1.0.0", "1.9.0", "1.10.0"]
    assert published_versions(None) == []


def test_a_floor_is_signed_with_the_highest_version_and_survives_the_file(role):
    assert floor_of(role) is None
    assert raise_floor(role, Version.parse("1.9.0")) is True

    assert custom(role, "1.10.0") == {"min_version": "1.9.0"}
    assert custom(role, "1.9.0") is None
    again = Targets.from_dict(role.to_dict())
    assert floor_of(again) == Version.parse("1.9.0")


def test_the_highest_of_all_counts_wherever_it_is(role):
    raise_floor(role, Version.parse("1.9.0"))
    role.targets["models/adder/1.0.0/manifest.json"].unrecognized_fields["custom"] = {"min_version": "1.0.0"}

    assert floor_of(role) == Version.parse("1.9.0")
    assert raise_floor(role, Version.parse("1.9.0")) is False


def test_a_floor_is_never_lowered(role):
    raise_floor(role, Version.parse("1.9.0"))
    with pytest.raises(UsageError, match="cannot be lowered"):
        raise_floor(role, Version.parse("1.0.0"))


def test_a_floor_above_every_version_would_leave_devices_without_a_model(role):
    with pytest.raises(UsageError, match=r"above every published version \(1.10.0\)"):
        raise_floor(role, Version.parse("2.0.0"))
    with pytest.raises(UsageError, match="none"):
        raise_floor(Targets(version=1, expires=role.expires), Version.parse("1.0.0"))


def test_other_words_of_the_role_stay(role):
    role.targets["models/adder/1.10.0/manifest.json"].unrecognized_fields["custom"] = {"by": "somebody"}
    raise_floor(role, Version.parse("1.9.0"))

    assert custom(role, "1.10.0") == {"by": "somebody", "min_version": "1.9.0"}


def test_a_floor_that_is_no_version_is_not_passed_over(role):
    role.targets["models/adder/1.0.0/manifest.json"].unrecognized_fields["custom"] = {"min_version": "soon"}
    with pytest.raises(TrustError, match="'soon', which is no version"):
        floor_of(role)
