"""The request that these checks make, as the README writes it."""


def infer(path: str) -> str:
    """Return the command that asks what a file on the device is; curl's further options can follow it."""
    return (
        "curl --unix-socket /run/edged/edged.sock -H 'Inference-Header-Content-Length: 0' "
        f"--data-binary @{path} http://localhost/v2/models/magika/infer"
    )
