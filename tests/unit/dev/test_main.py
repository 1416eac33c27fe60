"""What ``edged dev`` cannot work with is a sentence, not a traceback."""

import pytest

from edged.dev.__main__ import main


@pytest.mark.parametrize(
    "arguments", [["--repository", "http://localhost/", "--root", "/nonexistent"], ["--dir", "/dev/null"]]
)
def test_files_that_cannot_be_used_are_named_with_advice(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2
    assert "[usage]\nhint: " in capsys.readouterr().err
