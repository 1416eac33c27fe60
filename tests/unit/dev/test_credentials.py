"""The process that asks endpoints is handed the credentials that the settings name, and nobody else is."""

import os
import stat

import pytest

from edged.config.schema import EndpointConfig
from edged.dev.credentials import handed_over
from edged.dev.privileges import NOBODY, Privileges
from edged.errors import ConfigError, UsageError
from edged.offload.credentials import DIRECTORY, read_credential

AS_I_AM = Privileges(prefix=(), words="user 1000", uid=None)


def endpoints(credential):
    return {"m": EndpointConfig(url="https://localhost/", credential=credential)}


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/cloud").write_text("Authorization: Bearer s3cret\n")
    return tmp_path / "source"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "place"


def test_the_process_finds_what_its_endpoint_names(source, place):
    with handed_over(endpoints("cloud"), source=source, place=place, privileges=AS_I_AM) as directory:
        assert read_credential("cloud", {DIRECTORY: str(directory)}) == {"Authorization": "Bearer s3cret"}

    assert not place.exists()


def test_others_may_not_look_into_the_directory(source, place):
    with handed_over(endpoints("cloud"), source=source, place=place, privileges=AS_I_AM):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_copy_belongs_to_the_user_of_the_process(source, place):
    nobody = Privileges(prefix=(), words="user nobody", uid=NOBODY)
    with handed_over(endpoints("cloud"), source=source, place=place, privileges=nobody):
        assert {path.stat().st_uid for path in (place, *place.iterdir())} == {NOBODY}


def test_what_an_earlier_run_left_is_gone(source, place):
    place.mkdir()
    (place / "offload_old").write_text("Authorization: Bearer old\n")

    with handed_over(endpoints("cloud"), source=source, place=place, privileges=AS_I_AM):
        assert [path.name for path in place.iterdir()] == ["offload_cloud"]


def test_an_endpoint_without_a_credential_needs_no_directory_of_them(place):
    with handed_over(endpoints(""), source=None, place=place, privileges=AS_I_AM):
        assert not list(place.iterdir())


def test_without_a_directory_of_credentials_one_is_advised(place):
    with (
        pytest.raises(UsageError, match="endpoint of model m wants credential cloud") as told,
        handed_over(endpoints("cloud"), source=None, place=place, privileges=AS_I_AM),
    ):
        pass

    assert "--credentials" in told.value.hint


@pytest.mark.parametrize(("name", "expected"), [("other", "a readable file"), ("wrong", "lines NAME: VALUE")])
def test_a_credential_that_cannot_be_used_is_named_where_its_author_keeps_it(source, place, name, expected):
    (source / "wrong").write_text("s3cret")

    with (
        pytest.raises(ConfigError, match=f"{source}/{name}: file: expected {expected}") as told,
        handed_over(endpoints(name), source=source, place=place, privileges=AS_I_AM),
    ):
        pass

    assert "s3cret" not in str(told.value)
    assert not place.exists()
