import shutil
import subprocess
import uuid

import pytest

from edged.errors import StoreError
from edged.ops.identity import APPLICATION, MACHINE_ID, derived_id, read_device


def test_id_is_what_systemd_derives_from_this_machine():
    """sd_id128_get_machine_app_specific(3)."""
    tool = shutil.which("systemd-id128")
    if tool is None or not MACHINE_ID.exists() or not MACHINE_ID.read_text().strip():
        pytest.skip("needs systemd-id128 and a machine ID")
    command = [tool, "machine-id", f"--app-specific={APPLICATION.hex}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert derived_id(bytes.fromhex(MACHINE_ID.read_text().strip())) == printed


def test_id_is_a_uuid_that_tells_nothing_of_the_machine():
    machine_id = bytes(range(16))
    found = derived_id(machine_id)

    assert uuid.UUID(found).version == 4
    assert found != machine_id.hex()
    assert derived_id(bytes(range(1, 17))) != found


def test_configured_id_goes_before_the_machines(tmp_path):
    device = read_device(id_="kiosk-7", arch="arm64", labels={"ring": "canary"}, machine_id=tmp_path / "none")

    assert (device.id, device.arch, device.labels) == ("kiosk-7", "arm64", {"ring": "canary"})


@pytest.mark.parametrize("content", [None, b"", b"uninitialized\n", b"0" * 32, b"ab" * 15, b"\xff" * 32])
def test_machine_without_an_id_is_told_what_to_do(tmp_path, content):
    path = tmp_path / "machine-id"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(StoreError) as caught:
        read_device(id_="", arch="amd64", labels={}, machine_id=path)
    assert "device.id" in caught.value.hint
