"""Which of several failures is told."""

from edged.errors import DigestMismatchError, EdgedError, HostUnreachableError, IncompatibleError, ManifestError
from edged.update.refresh.undone import Undone, choose_failure


def undone(*errors: EdgedError) -> list[Undone]:
    for_publisher = (IncompatibleError, ManifestError)
    return [
        Undone(subject=f"m{i} 1.0.0", error=error, is_for_publisher=isinstance(error, for_publisher))
        for i, error in enumerate(errors)
    ]


def test_what_the_device_or_host_may_mend_is_named_first():
    failure = choose_failure(
        undone(IncompatibleError("no variant fits"), DigestMismatchError("altered"), HostUnreachableError("away"))
    )

    assert (failure.code, failure.subject, failure.is_for_publisher) == ("digest-mismatch", "m1 1.0.0", False)


def test_what_only_the_publisher_can_mend_is_named_as_that():
    failure = choose_failure(undone(IncompatibleError("no variant fits"), ManifestError("manifest.json", [])))

    assert (failure.code, failure.subject, failure.is_for_publisher) == ("bundle-incompatible", "m0 1.0.0", True)


def test_without_failures_nothing_is_named():
    assert choose_failure([]) is None
