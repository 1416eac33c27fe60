"""What the types of the settings cannot say is said like what they can: file, key, what was expected and found."""

import re

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
    ("url", "problem"),
    [
        ("https://host/mod\u00e8le/", "expected a URL in ASCII: .*, got https://host/mod\u00e8le/"),
        ("https://mod\u00e8le.test/", "expected a URL in ASCII: .*, got https://mod\u00e8le.test/"),
        ("https://host/\\u007f/", "expected a URL in ASCII"),
        ("https://user:word@host/", "expected a URL without a user's name and password$"),
        ("https://host/?key=1/", r"expected a URL without \? and #, got https://host/\?key=1/"),
        ("https://host/#/", r"expected a URL without \? and #"),
    ],
)
def test_repository_that_could_not_be_asked_for_its_files_is_refused_at_load(tmp_path, url, problem):
    (found,) = problems_of_text(tmp_path, f'[repository]\nurl = "{url}"\n')

    assert re.search(f"^repository\\.url: {problem}", found)
    assert "word" not in found.removesuffix("password")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/mod\u00e8le", "expected a URL in ASCII"),
        ("https://user:word@host/x", "expected a URL without a user's name and password"),
    ],
)
def test_endpoint_that_no_request_could_name_is_refused_at_load(tmp_path, url, expected):
    (found,) = problems_of_text(tmp_path, f'[offload.endpoints.m]\nurl = "{url}"\n')

    assert found.startswith(f"offload.endpoints.m.url: {expected}")


def test_an_endpoint_may_have_a_query(tmp_path):
    path = tmp_path / "edged.toml"
    path.write_text('[offload.endpoints.m]\nurl = "https://host/infer?api-version=2"\n')

    assert load_config([path]).offload.endpoints["m"].url.endswith("?api-version=2")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://127.0.0.1:8443/x", "expected a host name, no address"),
        ("https://[::1]/x", "expected a host name, no address"),
        ("https://host:99999/x", "expected a URL with a host name and a valid port"),
        ("http://host/x", "expected a URL that begins with https:// (nothing else leaves a device), without a #"),
    ],
)
def test_endpoint_that_the_gate_would_not_reach_is_refused_at_load(tmp_path, url, expected):
    assert problems_of_text(tmp_path, f'[offload.endpoints.m]\nurl = "{url}"\n') == [
        f"offload.endpoints.m.url: {expected}, got '{url}'"
        if "https://" in expected
        else f"offload.endpoints.m.url: {expected}, got {url}"
    ]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ('[egress]\nallow = ["Models.example.org"]', "egress.allow.0: expected a host name in lower case and a port"),
        ('[paths]\nstore = "store"', "paths.store: expected a path that begins with /"),
        (
            '[repository]\nurl = "https://x"',
            "repository.url: expected a URL that begins with https:// or http:// and ends in a slash",
        ),
        ('[policy]\nfile = "policy.toml"', "policy.file: expected a path that begins with /, or nothing"),
        (
            '[offload.endpoints.m]\nurl = "https://x"\ncredential = "../x"',
            "offload.endpoints.m.credential: expected the name of a file",
        ),
    ],
)
def test_what_a_text_has_to_be_is_said_in_words(tmp_path, key, words):
    (problem,) = problems_of_text(tmp_path, key)

    assert problem.startswith(words)


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


@pytest.mark.parametrize(
    ("section", "key"),
    [("repository", "poll_interval_s"), ("update", "backoff_max_s"), ("offload.endpoints.m", "timeout_s")],
)
def test_time_without_end_is_refused_wherever_it_is(tmp_path, section, key):
    """Infinitely many doublings lead to it, and no clock of the system's takes it."""
    url = 'url = "https://host/x"\n' if section.startswith("offload") else ""

    assert problems_of_text(tmp_path, f"[{section}]\n{url}{key} = inf\n") == [
        f"{section}.{key}: expected a finite number, got inf"
    ]


def test_mistyped_limit_of_a_rule_is_found_by_its_place(tmp_path):
    text = '[[limits.callers]]\nuser = "kiosk"\nlimits = { burst = 0 }\n'

    assert [problem.split(":")[0] for problem in problems_of_text(tmp_path, text)] == ["limits.callers.0.limits.burst"]
