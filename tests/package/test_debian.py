"""debian/ against the project's own files: dependencies, version, licence."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import edged
from tools.control import read_control

TOP = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTROL = read_control((TOP / "debian/control").read_text(encoding="utf-8"))
# Debian's package of a PyPI project is python3-<project> but for this one.
DEBIAN_NAMES = {"cyclonedx-python-lib": "cyclonedx-lib", "pillow": "pil"}


def requirements(lines):
    """Map the Debian name of each requirement in pyproject.toml to its lowest version."""
    pairs = (re.fullmatch(r"([a-z-]+)>=([0-9.]+)", line).groups() for line in lines)
    return {f"python3-{DEBIAN_NAMES.get(name, name)}": version for name, version in pairs}


def depends(package):
    """Map each versioned dependency of a binary package to its lowest version, epochs left out."""
    field = next(paragraph["Depends"] for paragraph in CONTROL if paragraph.get("Package") == package)
    return dict(re.findall(r"([a-z0-9-]+) \(>= (?:\d+:)?([0-9.]+)\)", field))


def test_library_depends_on_what_the_project_requires():
    """Both sets of versions that edged supports start at the same place."""
    assert depends("python3-edged") == requirements(PROJECT["dependencies"])


def test_publisher_depends_on_what_its_extra_requires():
    """What only publishers need stays off devices."""
    assert depends("edged-publisher") == requirements(PROJECT["optional-dependencies"]["publisher"])


def test_devices_always_confine_their_workers():
    """Elsewhere the filter on system calls is an extra; its bindings on Debian are libseccomp's own, with other versions."""
    assert requirements(PROJECT["optional-dependencies"]["confinement"]).keys() == {"python3-pyseccomp"}
    library = next(paragraph for paragraph in CONTROL if paragraph.get("Package") == "python3-edged")
    assert "python3-seccomp" in [relation.strip() for relation in library["Depends"].split(",")]


def test_changelog_has_the_projects_version():
    """The package is a native one: its version is the project's."""
    first = (TOP / "debian/changelog").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"edged ({edged.__version__}) ")


def test_every_command_is_in_one_package():
    """Console scripts of pyproject.toml are installed by exactly one .install file each."""
    installed = " ".join(path.read_text(encoding="utf-8") for path in (TOP / "debian").glob("*.install")).split()
    assert sorted(path for path in installed if path.startswith("usr/bin/")) == sorted(
        f"usr/bin/{name}" for name in PROJECT["scripts"]
    )


def test_every_command_has_a_manual_page():
    """Named after the command, listed for its package."""
    pages = {path.stem for path in (TOP / "debian").glob("*.[18]")}
    assert pages == set(PROJECT["scripts"])


def test_licence_is_the_one_that_is_declared():
    """LICENSE, pyproject.toml and debian/copyright agree."""
    assert "Apache License" in (TOP / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "License: Apache-2.0" in (TOP / "debian/copyright").read_text(encoding="utf-8")


def test_every_unit_is_enabled_and_sockets_stay_open_through_an_upgrade():
    """So that nobody who asks meanwhile is refused; services restart with the new code."""
    calls = re.findall(r"(?m)^\tdh_installsystemd -pedged (.*)$", (TOP / "debian/rules").read_text(encoding="utf-8"))
    kept = next(call.split() for call in calls if "--no-stop-on-upgrade" in call)
    restarted = next(call.split() for call in calls if "--no-" not in call)
    later = next(call.split() for call in calls if "--no-start" in call)
    assert sorted(word for word in kept if word[0] != "-") == sorted(
        path.name for path in (TOP / "systemd").glob("*.socket")
    )
    # Templates are started by what names their instances.
    services = {
        path.name: path.read_text(encoding="utf-8")
        for path in (TOP / "systemd").glob("*.service")
        if not path.stem.endswith("@")
    }
    # What only some devices want is for an administrator to enable.
    wanted = services.keys() - {"edged-presence.service"}
    assert sorted(restarted) == sorted(name for name in wanted if "[Install]" in services[name])
    assert sorted(later) == sorted(
        ["--no-enable", "--no-start", "edged-frequency.path", *(services.keys() - {*restarted})]
    )
    assert all("PartOf=edged.service" in services[name] for name in services.keys() - {*restarted})


def test_purge_removes_every_directory_and_user():
    """Whatever tmpfiles.d and sysusers.d make."""
    script = (TOP / "debian/edged.postrm").read_text(encoding="utf-8")
    removed = script.split("rm -rf --one-file-system ")[1].splitlines()[0].split()
    made = re.findall(r"(?m)^d +(\S+)", (TOP / "systemd/edged.tmpfiles").read_text(encoding="utf-8"))
    assert not [path for path in made if not any(path == top or path.startswith(f"{top}/") for top in removed)]
    users = re.findall(r"(?m)^[ug] +(\S+)", (TOP / "systemd/edged.sysusers").read_text(encoding="utf-8"))
    assert sorted(re.search(r"for name in (.*); do", script)[1].split()) == sorted(users)


@pytest.mark.parametrize("command", sorted(PROJECT["scripts"]))
def test_manual_page_names_every_verb(command):
    """What --help lists is what the page describes."""
    module, _, function = PROJECT["scripts"][command].partition(":")
    program = f"import sys; from {module} import {function} as main; sys.exit(main())"
    said = subprocess.run(
        [sys.executable, "-c", program, "--help"], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout
    verbs = re.findall(r"(?m)^ {2,4}([a-z]+) {2,}[a-z]", said)
    page = next((TOP / "debian").glob(f"{command}.[18]")).read_text(encoding="utf-8")
    assert verbs
    assert not [verb for verb in verbs if not re.search(rf"(?m)^\.B[RI]? .*\b{verb}\b", page)]
