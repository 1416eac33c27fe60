"""A problem body becomes the error it was, so that the exit code is the same as on the other side."""

import pytest

from edged.api.http.problems import for_error
from edged.cli.exits import exit_code_for
from edged.errors import DocumentError, EdgedError, ModelUnknownError, TensorError
from edged.problems import error_from_body


def every_error(root=EdgedError):
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


@pytest.mark.parametrize(
    "cls", [cls for cls in every_error() if cls.__module__ == "edged.errors" and not issubclass(cls, DocumentError)]
)
def test_an_error_comes_back_as_itself(cls):
    facts = {"size": 3, "limit": "limits.rate_per_s"}
    problem = for_error(cls("No.", hint="Do.", **facts))

    error = error_from_body(problem.status, problem.encode(is_v2=False))

    assert type(error) is cls
    assert (error.message, error.hint, error.facts) == ("No.", "Do.", facts)
    assert exit_code_for(error) == exit_code_for(cls("No.", **facts))


def test_the_place_in_a_request_is_part_of_the_sentence():
    problem = for_error(TensorError("No.", pointer="/inputs/0"))

    error = error_from_body(400, problem.encode(is_v2=True))

    assert (error.message, error.pointer) == ("No. (at /inputs/0)", "/inputs/0")


def test_facts_cannot_pose_as_arguments():
    body = b'{"type":"urn:edged:error:model-unknown","detail":"No.","facts":{"hint":"x","message":"y","a":1,"self":2,"error":3}}'

    error = error_from_body(404, body)

    assert isinstance(error, ModelUnknownError)
    assert (error.message, error.hint, error.facts["self"]) == ("No.", "", 2)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail":1}', b"\xff"])
def test_an_answer_that_is_no_problem_body_is_told_by_its_status(body):
    error = error_from_body(502, body)

    assert type(error) is EdgedError
    assert "502" in error.message
