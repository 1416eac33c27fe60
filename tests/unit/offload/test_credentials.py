"""Credentials of endpoints: header fields from a file, and nothing of them in any error."""

from pathlib import Path

import pytest

from edged.errors import ConfigError
from edged.offload.credentials import read_credential


@pytest.fixture
def environ(tmp_path):
    return {"CREDENTIALS_DIRECTORY": str(tmp_path)}


def write(environ, text):
    (Path(environ["CREDENTIALS_DIRECTORY"]) / "offload_cloud").write_bytes(text)


def test_lines_are_header_fields(environ):
    write(environ, b"Authorization: Bearer s3cret \n\nX-Tenant:42\n")

    assert read_credential("cloud", environ) == {"Authorization": "Bearer s3cret", "X-Tenant": "42"}


def test_no_name_is_no_credential():
    assert read_credential("", {}) == {}


@pytest.mark.parametrize(
    "text",
    [
        b"s3cret",
        b"Authorization: s3cret\rX: 1",
        b"Host: elsewhere.test s3cret",
        b"content-length: 3",
        b"Transfer-Encoding: chunked",
        b"X Y: s3cret",
        "X: sécret".encode(),
        b"X: " + b"s3cret" * 20_000,
    ],
)
def test_what_is_no_header_field_is_refused_without_quoting_it(environ, text):
    write(environ, text)

    with pytest.raises(ConfigError, match="/etc/edged/offload/cloud") as caught:
        read_credential("cloud", environ)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(environ):
    with pytest.raises(ConfigError, match="/etc/edged/offload/cloud"):
        read_credential("cloud", environ)


def test_credentials_come_from_the_service_manager_alone():
    with pytest.raises(ConfigError, match="service manager"):
        read_credential("cloud", {})
