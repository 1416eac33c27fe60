"""What the types of the settings cannot say is said like what they can: file, key, what was expected and found."""

import pytest

from edged.config.load import load_config
from edged.errors import ConfigError


def problems_of_text(tmp_path, text):
    """Return the problems that loading a file finds, as "key: expected, got found" without the file's name."""
    path = tmp_path / "edged.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config([path])
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("url", ["http://host:99999/", "http://host:port/", "http://[::1/", "http://:80/"])
def test_repository_without_a_usable_host_and_port_is_refused_at_load(tmp_path, url):
    path = tmp_path / "edged.toml"
    path.write_text(f'[repository]\nurl = "{url}"\n')

    with pytest.raises(ConfigError, match=r"repository\.url: expected a URL"):
        load_config([path])


@pytest.mark.parametrize(
    ("rule", "found"), [('user = "kiosk"\nunit = "kiosk.service"', "both"), ("limits = { burst = 7 }", "neither")]
)
def test_rule_is_for_a_user_or_a_unit(tmp_path, rule, found):
    assert problems_of_text(tmp_path, f'[[limits.callers]]\nuser = "a"\n[[limits.callers]]\n{rule}\n') == [
        f"limits.callers.1: expected exactly one of user and unit, got {found}"
    ]


def test_rule_for_what_is_no_service_is_refused(tmp_path):
    """It would never be found."""
    assert problems_of_text(tmp_path, '[[limits.callers]]\nunit = "kiosk"\n') == [
        "limits.callers.0.unit: expected a name ending in .service or .scope, got kiosk"
    ]


def test_second_rule_for_a_caller_is_refused(tmp_path):
    """Neither could be said to win."""
    text = (
        '[[limits.callers]]\nuser = "kiosk"\n[[limits.callers]]\nuser = "games"\n[[limits.callers]]\nuser = "kiosk"\n'
    )

    assert problems_of_text(tmp_path, text) == [
        f"limits.callers.{i}: expected one rule for each caller, got several for kiosk" for i in (0, 2)
    ]


def test_rate_without_end_is_refused_wherever_it_is(tmp_path):
    text = '[limits.default]\nrate_per_s = inf\n[[limits.callers]]\nuser = "kiosk"\nlimits = { rate_per_s = inf }\n'

    assert problems_of_text(tmp_path, text) == [
        f"limits.{place}rate_per_s: expected a finite number (0 is no limit), got inf"
        for place in ("default.", "callers.0.limits.")
    ]


def test_window_that_would_never_open_is_refused(tmp_path):
    assert problems_of_text(tmp_path, "[window]\nidle_s = inf\nmax_wait_s = inf\n") == [
        "window.idle_s: expected a finite number (0 asks for nothing), got inf",
        "window.max_wait_s: expected a finite number (0 waits for ever), got inf",
    ]


def test_mistyped_limit_of_a_rule_is_found_by_its_place(tmp_path):
    text = '[[limits.callers]]\nuser = "kiosk"\nlimits = { burst = 0 }\n'

    assert [problem.split(":")[0] for problem in problems_of_text(tmp_path, text)] == ["limits.callers.0.limits.burst"]
