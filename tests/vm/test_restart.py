"""Reload, restart and upgrade under load: apps notice nothing but a slower answer."""

import pytest

APPS = {"anew-one": "anew", "anew-two": "anew", "keeps-one": "keeps", "keeps-two": "keeps"}
"""What each of them does is in ``app.py``."""
RELOADS, RESTARTS = 20, 10
STOP = "/srv/load/stop"


class Load:
    """The apps at work."""

    def __init__(self, device, sample):
        self._device = device
        device.run("rm -rf /srv/load && install -d -o app /srv/load")
        for name, kind in APPS.items():
            device.run(
                f"systemd-run --quiet --collect --unit=load-{name} --uid=app"
                f" python3 /srv/vm/app.py {kind} {sample.path} {sample.label} {self._counts_of(name)} {STOP}"
            )
        self.wait_for_answers()

    def wait_for_answers(self, *, at_least=5):
        """Wait until each app got some more answers than it has now."""
        wanted = {}
        for name in APPS:
            self._device.wait_for(f"test -e {self._counts_of(name)}", timeout_s=60.0)
            wanted[name] = int(self._device.output(f"cut -d' ' -f1 {self._counts_of(name)}")) + at_least
        for name, count in wanted.items():
            self._device.wait_for(f"[ $(cut -d' ' -f1 {self._counts_of(name)}) -ge {count} ]", timeout_s=60.0)

    def stop(self):
        """Have them end; returns how many requests were answered, and how many were not."""
        self.wait_for_answers()
        self._device.run(f"touch {STOP}")
        for name in APPS:
            self._device.wait_for(f"! systemctl is-active --quiet load-{name}", timeout_s=60.0)
        lines = self._device.output("cat " + " ".join(map(self._counts_of, APPS))).splitlines()
        pairs = [tuple(map(int, line.split())) for line in lines]
        return tuple(map(sum, zip(*pairs, strict=True)))

    @property
    def losses(self):
        """What the apps said about them."""
        return self._device.output("journalctl -u 'load-*' -o cat --no-pager | tail -20")

    @staticmethod
    def _counts_of(name):
        return f"/srv/load/{name}.count"


@pytest.fixture
def load(serving, samples):
    load = Load(serving, samples[0])
    yield load
    serving.run(f"touch {STOP}")


def test_restarts_lose_no_request(serving, load, measured):
    """The service manager holds the socket, and the daemon finishes what it has."""
    before = serving.output("systemctl show -P MainPID edged.service")
    for _ in range(RESTARTS):
        serving.run("systemctl restart edged.service", timeout_s=120.0)
        load.wait_for_answers(at_least=1)

    answered, lost = load.stop()
    measured(f"{RESTARTS} restarts under load: {answered} requests answered, {lost} lost")
    assert serving.output("systemctl show -P MainPID edged.service") != before
    assert lost == 0, load.losses


def test_reloads_lose_no_request(serving, load, measured):
    """Each with other limits, the last of which can be seen to apply; and it is the same process throughout."""
    before = serving.output("systemctl show -P MainPID edged.service")
    for number in range(RELOADS):
        settings = f"[serve]\nmax_queued = {32 + number}\nmax_body_bytes = {1_000_000 + number}\n"
        serving.write("/etc/edged/edged.toml.d/60-load.toml", settings)
        serving.run("systemctl reload edged.service")

    answered, lost = load.stop()
    measured(f"{RELOADS} reloads under load: {answered} requests answered, {lost} lost")
    assert serving.output("systemctl show -P MainPID edged.service") == before
    assert lost == 0, load.losses
    too_large = "head -c 1000020 /dev/zero | curl --silent --unix-socket /run/edged/edged.sock --data-binary @- --output /dev/null"
    status = serving.output(f"{too_large} --write-out '%{{http_code}}' http://localhost/v2/models/magika/infer")
    assert status == "413"
    serving.run("rm /etc/edged/edged.toml.d/60-load.toml && systemctl reload edged.service")


def test_upgrade_loses_no_request(serving, load, measured):
    """Installing replaces the code and restarts the daemon; the sockets stay open meanwhile."""
    before = serving.output("systemctl show -P MainPID edged.service")
    serving.run("apt-get -q -y install --reinstall /srv/dist/*.deb", timeout_s=180.0)

    answered, lost = load.stop()
    measured(f"an upgrade under load: {answered} requests answered, {lost} lost")
    assert serving.output("systemctl show -P MainPID edged.service") != before
    assert lost == 0, load.losses
