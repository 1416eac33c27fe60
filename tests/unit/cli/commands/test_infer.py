"""Answers for programs."""

import json

from edged.cli.commands.infer import Answered, as_json_line


def test_a_file_name_that_is_not_utf8_is_written_as_an_escape():
    line = as_json_line(Answered(file="a\udcff.bin", body=b"{}", elapsed_s=0.0))

    assert json.loads(line)["file"] == r"a\udcff.bin"
