"""What the two processes of the updater say to each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config.schema import Config, RepositoryConfig
from edged.errors import FileMissingError
from edged.update.protocol.messages import (
    MAX_TEXT,
    Failure,
    Fetching,
    Finding,
    MessageError,
    Planned,
    Settled,
    Step,
    Task,
    Trusted,
    decode_answer,
    decode_task,
    encode,
    failure_of,
)
from edged.update.protocol.phases import Deferred, Phase, Progress

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
CHECKED = st.dictionaries(DIGESTS, st.floats(0, 1e12), max_size=3)
FAILURES = st.builds(Failure, code=st.text(), message=st.text(), hint=st.text(), subject=st.text())
SETTLED = st.builds(Settled, timestamp=st.binary(max_size=100), due_unix_s=st.floats(0, 1e12))
DEFERRED = st.builds(Deferred, cause=st.just("metered"), message=st.text(), until=st.none() | st.floats(0, 1e12))
ANSWERS = st.one_of(
    st.builds(Trusted, timestamp=st.binary(max_size=100)),
    st.builds(Planned),
    st.builds(Fetching, blob=DIGESTS),
    st.builds(
        Finding,
        failure=st.none() | FAILURES,
        settled=st.none() | SETTLED,
        checked_unix_s=CHECKED,
        deferred=st.none() | DEFERRED,
        is_stop_sensitive=st.none() | st.booleans(),
        wanted=st.none() | st.tuples(DIGESTS),
    ),
    st.builds(
        Step,
        phase=st.sampled_from(Phase),
        progress=st.none()
        | st.builds(
            Progress,
            model=st.text(),
            version=st.text(),
            received_bytes=st.integers(0, 1 << 60),
            total_bytes=st.integers(0, 1 << 60),
        ),
    ),
)


@given(ANSWERS)
def test_answers_come_back_as_they_were_on_a_line_of_their_own(answer):
    line = encode(answer)

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_answer(line) == answer


def test_task_carries_all_settings():
    config = Config(repository=RepositoryConfig(url="https://models.test/", poll_interval_s=7.0))
    task = Task(config=config, checked_unix_s={"a" * 64: 1.5})

    assert decode_task(encode(task)) == task


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type":"step"}', b'{"type":"other"}', b"\xff", b"Traceback"])
def test_anything_else_is_no_message(line):
    with pytest.raises(MessageError):
        decode_answer(line)
    with pytest.raises(MessageError):
        decode_task(line)


def test_failure_with_half_a_character_can_be_told():
    """JSON from a host may name anything."""
    answer = Finding(failure=failure_of(FileMissingError("no role lists \ud800")), checked_unix_s={})

    assert decode_answer(encode(answer)).failure.message == "no role lists ?"


def test_failure_keeps_code_and_cuts_what_would_never_be_read():
    failure = failure_of(FileMissingError("x" * 10_000, hint="y" * 10_000), subject="demo 1.0.0")

    assert failure.code == "file-missing"
    assert len(failure.message) == len(failure.hint) == MAX_TEXT
    assert failure.describe().startswith("demo 1.0.0: xxx")
