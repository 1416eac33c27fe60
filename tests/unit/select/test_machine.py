import os
import platform

import pytest

from edged.codec import convert, encode_readable
from edged.errors import DocumentError
from edged.select.features import FLAGS
from edged.select.machine import Machine, read_machine


def test_this_machine_is_described():
    machine = read_machine()

    assert machine.arch == {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    assert 0 < machine.memory_bytes <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine.cpu_features <= set(FLAGS.get(machine.arch, {}))


def test_version_of_the_runtime_is_found_without_importing_it():
    import onnxruntime

    # Debian's build calls itself 1.21, which is 1.21.0.
    assert read_machine().runtimes["onnxruntime"].startswith(onnxruntime.__version__)


def test_features_are_read_from_proc(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_bytes(b"processor\t: 0\nFeatures\t: fp asimd asimddp \xff\n")

    assert read_machine(tmp_path).cpu_features == {"neon", "dotprod"}
    assert read_machine(tmp_path / "absent").cpu_features == set()


def test_description_of_a_machine_can_be_written_and_read_elsewhere():
    machine = read_machine()

    import msgspec

    assert msgspec.json.decode(encode_readable(machine), type=Machine) == machine


def test_features_that_nobody_knows_are_refused():
    with pytest.raises(DocumentError) as caught:
        convert(Machine, {"arch": "amd64", "memory_bytes": 1, "cpu_features": ["dotproduct"]}, source="machine")

    (problem,) = caught.value.problems
    assert problem.pointer == "/cpu_features/0"
    assert problem.expected.endswith("did you mean 'dotprod'?")
