"""A developer's processes run without privileges, whoever the developer is."""

import os
import subprocess

import pytest

from edged.dev.privileges import NOBODY, choose_privileges, give

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")


def test_ordinary_user_runs_as_they_are(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert choose_privileges(["/bin/true"]).prefix == ()


@as_root
def test_root_gives_up_the_user_id_where_nobody_can_run_the_command(tmp_path):
    privileges = choose_privileges(["/bin/true"])

    assert privileges.uid == NOBODY
    give(tmp_path, privileges)
    assert tmp_path.stat().st_uid == NOBODY


@as_root
@pytest.mark.parametrize(
    "command", [["/bin/true"], ["/nonexistent"]], ids=["as nobody", "as root without capabilities"]
)
def test_no_capability_is_left_either_way(command):
    privileges = choose_privileges(command)
    program = ["/bin/cat", "/proc/self/status"]
    status = subprocess.run([*privileges.prefix, *program], capture_output=True, text=True, check=True).stdout

    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"
