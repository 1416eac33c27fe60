"""python-tuf's own update client on a published repository, with either version's way to hand it its first root."""

import inspect
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface


class UrlFetcher(FetcherInterface):
    """Fetches through ``urllib``: ``http:`` from a server, ``file:`` from a directory."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                data = answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                raise DownloadHTTPError(str(exc), exc.code) from exc
        except urllib.error.URLError as exc:  # a file that is not there
            raise DownloadHTTPError(str(exc), 404) from exc
        return iter([data])


def make_updater(base_url: str, directory: Path, root: bytes) -> Updater:
    """Make a client with state of its own in ``directory``; ``base_url`` ends in a slash."""
    metadata, targets = directory / "metadata", directory / "targets"
    metadata.mkdir(parents=True, exist_ok=True)
    targets.mkdir(exist_ok=True)
    options = {"target_dir": str(targets), "target_base_url": f"{base_url}targets/", "fetcher": UrlFetcher()}
    if "bootstrap" in inspect.signature(Updater.__init__).parameters:
        return Updater(str(metadata), f"{base_url}metadata/", bootstrap=root, **options)
    if not (metadata / "root.json").exists():
        (metadata / "root.json").write_bytes(root)
    return Updater(str(metadata), f"{base_url}metadata/", **options)
