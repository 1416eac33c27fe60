"""What ``edged dev`` cannot work with is a sentence, not a traceback."""

import pytest

from edged.dev.__main__ import main
from edged.dev.occupancy import occupied


@pytest.mark.parametrize(
    "arguments", [["--repository", "http://localhost/", "--root", "/nonexistent"], ["--dir", "/dev/null"]]
)
def test_files_that_cannot_be_used_are_named_with_advice(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2
    assert "[usage]\nhint: " in capsys.readouterr().err


def test_a_directory_in_which_another_one_runs_is_left_alone(tmp_path, capsys):
    """Its settings would be those of the second one at its next reload."""
    with occupied(tmp_path / "d"):
        assert main(["--dir", str(tmp_path / "d"), "--config", "/nonexistent"]) == 2

    assert f"another edged dev runs in {tmp_path}/d [usage]\nhint: " in capsys.readouterr().err
    assert not list((tmp_path / "d").iterdir())
    with occupied(tmp_path / "d"):
        pass
