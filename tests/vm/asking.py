"""What these checks ask of a device: the request that the README writes, and the host of its repository."""


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
