"""What these checks ask of a device: the request that the README writes, the host of its repository, the processes of its units."""


def infer(path: str) -> str:
    """Return the command that asks what a file on the device is; curl's further options can follow it."""
    return (
        "curl --unix-socket /run/edged/edged.sock -H 'Inference-Header-Content-Length: 0' "
        f"--data-binary @{path} http://localhost/v2/models/magika/infer"
    )


def start_host(device, port=8080):
    """Serve the repository inside the device."""
    device.run(
        f"systemd-run --unit=host --uid=nobody --property=Restart=always edge-publish serve /srv/demo/repo --port {port}"
    )


def processes_of(device, unit):
    """Return the numbers of a unit's processes, as text."""
    listed = device.output(f"cat /sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs").split()
    # Another container may have a control group of the same name at the same time; its processes have the number 0 here.
    return [process for process in listed if process != "0"]
