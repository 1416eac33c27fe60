"""The settings of a development directory allow one host and keep every path below it."""

import pytest

from edged.config.load import load_config
from edged.dev.settings import write_settings
from edged.errors import ConfigError, UsageError


def test_every_path_is_below_the_directory_and_one_host_is_allowed(tmp_path):
    file = write_settings(tmp_path / "d", repository="http://localhost:8080/", root=b"{}", poll_interval_s=2.0)

    config = load_config([file])

    paths = [getattr(config.paths, name) for name in config.paths.__struct_fields__]
    assert all(path.startswith(f"{tmp_path}/d/") for path in [*paths, config.repository.root])
    assert config.egress.allow == ()
    assert config.egress.allow_private == ("localhost:8080",)
    assert config.repository.poll_interval_s == 2.0
    assert (tmp_path / "d/root.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("https://models.example.org/", "models.example.org:443"), ("http://mirror.site/a/b/", "mirror.site:80")],
)
def test_port_follows_from_the_scheme(tmp_path, url, allowed):
    file = write_settings(tmp_path, repository=url, root=b"{}", poll_interval_s=1.0)

    assert load_config([file]).egress.allow_private == (allowed,)


def test_without_a_repository_nothing_may_leave(tmp_path):
    config = load_config([write_settings(tmp_path, repository="", root=None, poll_interval_s=1.0)])

    assert config.repository.url == ""
    assert config.egress.allow_private == ()


@pytest.mark.parametrize("url", ["localhost:8080/", "http://localhost:8080", "ftp://host/", "http://host:port/", "x"])
def test_what_is_no_repository_is_refused_with_advice(tmp_path, url):
    with pytest.raises(UsageError, match="is not a"):
        write_settings(tmp_path, repository=url, root=b"{}", poll_interval_s=1.0)


def test_any_directory_can_be_written_as_toml(tmp_path):
    odd = tmp_path / 'a "quoted" \\ ü \x7f name'
    config = load_config([write_settings(odd, repository="", root=None, poll_interval_s=1.0)])

    assert config.paths.store == f"{odd}/store"


def test_a_device_of_a_fleet_can_be_played(tmp_path):
    file = write_settings(
        tmp_path,
        repository="",
        root=None,
        poll_interval_s=1.0,
        trial_s=30.0,
        device_id="kiosk-1",
        labels={"region": "eu", "ring": "canary"},
    )

    config = load_config([file])

    assert (config.device.id, config.trial.min_s) == ("kiosk-1", 30.0)
    assert config.device.labels == {"region": "eu", "ring": "canary"}


def test_a_label_that_no_rollout_can_name_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="labels"):
        write_settings(tmp_path, repository="", root=None, poll_interval_s=1.0, labels={"region": "E U"})
