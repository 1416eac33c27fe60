import pytest

from edged.codec import decode_json
from edged.errors import DocumentError
from edged.ids import Version
from edged.ops.stop import Stop, Stops

SINCE = "2026-11-22T10:00:00Z"


def test_stop_without_versions_covers_all_that_ever_come():
    assert Stop(reason="r", since=SINCE).covers(Version(99, 0, 0))


def test_stop_of_versions_covers_these_alone():
    stop = Stop(reason="r", since=SINCE, versions=("1.0.0", "1.1.0-rc.1"))

    assert stop.covers(Version.parse("1.1.0-rc.1"))
    assert not stop.covers(Version.parse("1.1.0"))


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": 1, "issued": "2026-11-22T10:00:00Z", "models": {}}',
        '{"schema": 1, "issued": "2026-11-22T10:00:00Z", "serial": 0, "models": {}}',
        '{"schema": 2, "issued": "2026-11-22T10:00:00Z", "serial": 1, "models": {}}',
        '{"schema": 1, "issued": "2026-11-22T10:00:00Z", "serial": 1, "models": {"m": {"reason": "", "since": "2026-11-22T10:00:00Z"}}}',
        '{"schema": 1, "issued": "2026-11-22T10:00:00Z", "serial": 1, "models": {}, "leases": {"m": {"hours": 0}}}',
    ],
)
def test_document_with_a_mistake_is_none(text):
    with pytest.raises(DocumentError):
        decode_json(Stops, text.encode(), source="stop.json")
