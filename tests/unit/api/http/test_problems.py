"""Every error has a status, and a body that RFC 9457 readers and Open Inference Protocol clients understand."""

import json
import re
from http import HTTPStatus

import pytest

from edged import errors
from edged.api.http.problems import for_bug, for_error, for_status
from edged.errors import EdgedError, ModelUnknownError, RequestError, UnavailableError
from edged.statuses import STATUSES


def every_error(root=EdgedError):
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_every_error_is_in_the_table():
    """Each class itself, so that a new error is a decision about its status."""
    ours = {cls for cls in every_error() if cls.__module__ == errors.__name__}

    assert ours == set(STATUSES)


def test_a_subclass_elsewhere_has_the_status_of_its_nearest_relative():
    class StrangerError(ModelUnknownError):
        pass

    assert for_error(StrangerError("x")).status is HTTPStatus.NOT_FOUND


def test_a_body_has_all_members_that_say_something():
    problem = for_error(RequestError("No.", pointer="/a", hint="Do.", size=3, where={1}))

    assert json.loads(problem.encode(is_v2=True)) == {
        "type": "urn:edged:error:request-invalid",
        "title": "Request invalid",
        "status": 400,
        "detail": "No.",
        "hint": "Do.",
        "pointer": "/a",
        "facts": {"size": 3, "where": [1]},
        "error": "No.",
    }


def test_a_body_leaves_out_what_says_nothing():
    body = json.loads(for_error(EdgedError("No.", path=object)).encode(is_v2=False))

    assert set(body) == {"type", "title", "status", "detail", "facts"}


def test_a_device_that_cannot_answer_now_says_when():
    assert for_error(UnavailableError("No.", retry_after_s=7)).headers() == {"Retry-After": "7"}


@pytest.mark.parametrize("status", [status for status in HTTPStatus if status >= 400])
def test_every_http_error_has_a_code(status):
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", for_status(status, "x").code)


def test_a_bug_is_told_by_its_identifier_alone():
    assert for_bug("abc").facts == {"request": "abc"}
