"""Configuration files: order, merging, and every problem at once."""

import errno
import os
from pathlib import Path

import pytest

from edged.config import load
from edged.config.load import load_config
from edged.config.schema import CallerLimits, CallerRule, Config
from edged.errors import ConfigError


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    """The three default places, in a directory of the test's own."""
    places = (tmp_path / "usr.toml", tmp_path / "etc.toml", tmp_path / "etc.toml.d")
    monkeypatch.setattr(load, "DEFAULT_CONFIG_PATHS", places)
    return places


def test_empty_etc_gives_the_defaults(defaults):
    assert load_config() == Config()


def test_a_link_that_leads_nowhere_does_not_count_as_an_empty_etc(defaults, tmp_path):
    defaults[1].symlink_to(tmp_path / "missing.toml")

    with pytest.raises(ConfigError, match=r"etc\.toml: file: expected a readable file"):
        load_config()


def test_later_files_win_key_by_key(defaults):
    """Tables merge; a list is replaced whole."""
    vendor, admin, drop_ins = defaults
    vendor.write_text('[update]\ntimeout_s = 1\nbackoff_min_s = 2\n[egress]\nallow = ["a.test:443", "b.test:443"]\n')
    admin.write_text("[update]\ntimeout_s = 3\n")
    drop_ins.mkdir()
    (drop_ins / "20-last.toml").write_text("[update]\ntimeout_s = 5\n")
    (drop_ins / "10-first.toml").write_text('[update]\ntimeout_s = 4\n[egress]\nallow = ["c.test:443"]\n')
    (drop_ins / "ignored.conf").write_text("not even TOML")

    config = load_config()

    assert (config.update.timeout_s, config.update.backoff_min_s) == (5, 2)
    assert config.egress.allow == ("c.test:443",)


def test_given_paths_replace_the_defaults(defaults, tmp_path):
    defaults[0].write_text("[update]\ntimeout_s = 1\n")
    mine = tmp_path / "mine.toml"
    mine.write_text("[update]\nbackoff_min_s = 7\n")

    assert load_config([mine]).update == type(Config().update)(backoff_min_s=7)


def test_given_path_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: file: expected a readable file"):
        load_config([tmp_path / "absent.toml"])


def test_every_problem_of_a_file_is_listed_with_dotted_keys(tmp_path):
    path = tmp_path / "edged.toml"
    path.write_text('[update]\ntimeout_s = "soon"\n[repository]\nurl = "ftp://x"\n[serve]\nmax_qeued = 3\n')

    with pytest.raises(ConfigError) as caught:
        load_config([path])

    assert [p.pointer for p in caught.value.problems] == ["repository.url", "serve", "update.timeout_s"]
    assert f"{path}: update.timeout_s: expected number of seconds, got 'soon'" in str(caught.value)
    assert "'max_qeued' was unexpected" in str(caught.value)


def test_problems_of_all_files_are_listed_together(tmp_path):
    (tmp_path / "1.toml").write_text("[update]\ntimeout_s = 0\n")
    (tmp_path / "2.toml").write_text("[update\n")

    with pytest.raises(ConfigError) as caught:
        load_config([tmp_path])

    assert f"{tmp_path}/1.toml: update.timeout_s: " in str(caught.value)
    assert f"{tmp_path}/2.toml: file: expected TOML" in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b"a = ", b"[update]\n[update]\n", b"a = " + b"[" * 5000, b"a = 2024-02-31"]
)
def test_what_is_not_toml_is_named(tmp_path, data):
    path = tmp_path / "edged.toml"
    path.write_bytes(data)

    with pytest.raises(ConfigError, match="expected TOML"):
        load_config([path])


def test_unreadable_file_is_named(tmp_path):
    path = tmp_path / "edged.toml"
    path.symlink_to(path)  # a loop cannot be read by anyone, root included

    with pytest.raises(ConfigError, match="expected a readable file"):
        load_config([Path(path)])


def refused_names(monkeypatch, directory):
    """Have the system refuse to list a directory, as it does to a service's user where only root may enter; root itself may always."""
    really = os.listdir

    def listdir(path):
        if Path(path) == directory:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "listdir", listdir)


def test_a_directory_that_may_not_be_read_does_not_count_as_an_empty_one(defaults, monkeypatch):
    """Made with a strict umask, it would otherwise hide limits and lists of destinations from the services that keep to them."""
    defaults[2].mkdir()
    (defaults[2] / "site.toml").write_text("[regulatory]\nforbid_offload = true\n")
    refused_names(monkeypatch, defaults[2])

    with pytest.raises(ConfigError, match=r"etc\.toml\.d: file: expected a readable .*, got Permission denied"):
        load_config()


def test_what_an_editor_keeps_beside_a_file_is_none_of_the_settings(tmp_path):
    """Emacs marks a file that is being edited by a link that leads nowhere, ``.#NAME``; others keep copies."""
    (tmp_path / "site.toml").write_text("[update]\ntimeout_s = 5\n")
    (tmp_path / ".#site.toml").symlink_to("root@gauge.1234:5678")
    (tmp_path / ".site.toml").write_text("[update]\ntimeout_s = 7\n")

    assert load_config([tmp_path]).update.timeout_s == 5


def test_a_name_that_is_no_text_is_told_as_text(tmp_path):
    """What is wrong with settings goes into documents and into the journal, which are UTF-8."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.toml")).write_text("[update]\ntimeout_s = 0\n")

    with pytest.raises(ConfigError) as caught:
        load_config([tmp_path])

    assert str(caught.value).encode().startswith(os.fsencode(tmp_path) + rb"/caf\xe9.toml: update.timeout_s: ")


def test_rules_for_callers_are_read(tmp_path):
    path = tmp_path / "edged.toml"
    path.write_text(
        "[limits.default]\nrate_per_s = 5\n"
        '[[limits.callers]]\nuser = "kiosk"\nlimits = { burst = 7 }\n'
        '[[limits.callers]]\nunit = "camera@front.service"\n[limits.callers.limits]\nmax_concurrent = 2\n'
    )

    limits = load_config([path]).limits

    assert limits.default == CallerLimits(rate_per_s=5)
    assert limits.callers == (
        CallerRule(user="kiosk", limits=CallerLimits(burst=7)),
        CallerRule(unit="camera@front.service", limits=CallerLimits(max_concurrent=2)),
    )
