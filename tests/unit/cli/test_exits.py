"""How a command ends: an exit code for every error, and what is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edged import errors
from edged.cli.exits import EXITS, Exit, exit_code_for, run_command
from edged.errors import ConfigError, EdgedError, ModelUnknownError, Problem, UnavailableError


def every_error(root=EdgedError):
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def raise_(error):
    raise error


def test_every_error_is_in_the_table():
    """Each class itself, so that a new error is a decision about its exit code."""
    ours = {cls for cls in every_error() if cls.__module__ == errors.__name__}

    assert ours == set(EXITS)


def test_a_subclass_elsewhere_ends_as_its_nearest_relative():
    class StrangerError(ModelUnknownError):
        pass

    assert exit_code_for(StrangerError("x")) is Exit.NOT_FOUND
    assert exit_code_for(ValueError()) is Exit.FAILED


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (Exit.DEGRADED, 6), (1, 1)])
def test_a_verb_ends_with_what_it_returns(result, code):
    assert run_command(lambda: result) == code


def test_an_error_is_one_sentence_with_its_code_and_one_hint(capsys):
    code = run_command(lambda: raise_(UnavailableError("Loading.", hint="Wait.")))

    assert (code, capsys.readouterr()) == (8, ("", "Loading. [unavailable]\nhint: Wait.\n"))


@pytest.mark.parametrize(("wait_s", "said"), [(30, "again after 30 s\n"), (90, "again after 1 min 30 s\n"), (1, "")])
def test_an_error_that_goes_away_says_when(capsys, wait_s, said):
    run_command(lambda: raise_(UnavailableError("Too hot.", retry_after_s=wait_s, hint="Ask again after that time.")))

    assert capsys.readouterr().err == f"Too hot. [unavailable]\n{said}hint: Ask again after that time.\n"


def test_problems_of_a_document_take_a_line_each(capsys):
    problems = [Problem(pointer=name, expected="expected a\nnumber", found="x") for name in ("first", "second")]
    run_command(lambda: raise_(ConfigError("a.toml", problems, hint="Mend it.")))

    assert capsys.readouterr().err.splitlines() == [
        "a.toml: first: expected a\\nnumber, got x",
        "a.toml: second: expected a\\nnumber, got x [config-invalid]",
        "hint: Mend it.",
    ]


def test_an_error_without_a_hint_is_one_line(capsys):
    run_command(lambda: raise_(UnavailableError("Loading.")))

    assert capsys.readouterr().err == "Loading. [unavailable]\n"


def test_an_interrupt_ends_as_a_shell_expects():
    assert run_command(lambda: raise_(KeyboardInterrupt())) == 130


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)


def test_a_reader_that_has_left_is_no_error():
    """``edgectl ... | head``: quiet, and a success."""
    reader, writer = os.pipe()
    os.close(reader)
    program = "import sys; from edged.cli.exits import run_command; sys.exit(run_command(lambda: print('x' * 100_000)))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_behind_stdout_is_one_sentence():
    program = "import sys; from edged.cli.exits import run_command; sys.exit(run_command(lambda: print('x')))"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False
        )

    assert (done.returncode, done.stderr) == (1, b"No space left on device [internal]\n")


def in_a_process(statement, *, close="", stdout=None, environ=()):
    """Run a verb in a process of its own, so that its outputs are the system's."""
    verb = f"from edged.cli.exits import run_command; sys.exit(run_command(lambda: {statement}))"
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {close}', "sh", sys.executable, "-c", f"import sys; {verb}"],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **dict(environ)},
        timeout=30,
        check=False,
    )


def test_what_a_locale_cannot_write_is_printed_as_an_escape():
    """A terminal with ISO 8859-1, and the name of a test with an arrow."""
    done = in_a_process("print('12 \u00b0C \u2192')", stdout=subprocess.PIPE, environ={"PYTHONIOENCODING": "latin-1"})

    assert (done.returncode, done.stdout, done.stderr) == (0, b"12 \xb0C \\u2192\n", b"")


@pytest.mark.parametrize("close", [">&-", "2>&-", ">&- 2>&-"])
def test_an_output_that_was_closed_beforehand_is_not_missed(close):
    statement = "[print('x'), sys.stdout.isatty(), sys.stderr.write('x')] and 6"

    assert in_a_process(statement, close=close).returncode == 6


def test_an_argument_that_is_no_text_is_one_sentence(capsys):
    """The shell hands over bytes; what is not UTF-8 among them comes as surrogates, which JSON cannot have."""
    reason = "x" * 500 + os.fsdecode(b"caf\xe9") + "y" * 500

    assert run_command(reason.encode) == Exit.USAGE

    said = capsys.readouterr().err
    assert "caf\\udce9" in said
    assert said.splitlines()[0].endswith("is not UTF-8 [usage]")
    assert len(said) < 200


def test_an_error_that_cannot_be_printed_keeps_its_exit_code():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edged.cli.edgectl", "--socket", "/nonexistent/edged.sock", "status"],
            stderr=full,
            timeout=30,
            check=False,
        )

    assert done.returncode == Exit.UNREACHABLE
