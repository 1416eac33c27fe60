"""The chapter about heat: a device whose sensors the story can set, and what its policy makes of them."""

import http.client
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from demo.answers import GAUGE
from demo.processes import WHOLE_BODY, DemoFailedError, ask, edgectl, exchange, wait_for

POLICY: Final = Path(__file__).with_name("heat.toml")
MODEL: Final = "gauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """A temperature, and what has to become of a request then."""

    celsius: int
    level: str
    answer: str
    """The precision of the variant that answers, or nothing."""
    rule: str


AFTERNOON: Final = (
    Warmth(celsius=45, level="nominal", answer="fp32", rule="run-best"),
    Warmth(celsius=82, level="serious", answer="int8", rule="hot"),
    Warmth(celsius=97, level="critical", answer="", rule="too-hot"),
    Warmth(celsius=45, level="nominal", answer="fp32", rule="run-best"),
)


class Zone:
    """A thermal zone as the kernel shows one, in a directory of the demonstration's own.

    Args:
        work: The directory.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._zone = work / "sys/class/thermal/thermal_zone0"
        self._zone.mkdir(parents=True)
        for name, text in {
            "type": "cpu-thermal",
            "trip_point_0_type": "critical",
            "trip_point_0_temp": "110000",
        }.items():
            self._write(name, text)
        self.heat(AFTERNOON[0].celsius)

    def heat(self, celsius: int) -> None:
        """Set the temperature."""
        self._write("temp", str(celsius * 1000))

    def settings(self) -> Path:
        """Write the settings with which a device looks at this zone, often and with little patience, and obeys the story's policy."""
        file = self._work / "heat-settings.toml"
        policy = self._work / "heat.toml"
        policy.write_text(POLICY.read_text())
        file.write_text(
            f'[sense]\nsysfs = "{self._work}/sys"\npoll_s = 0.2\ncool_s = 1\n\n[policy]\nfile = "{policy}"\n',
        )
        return file

    def _write(self, name: str, text: str) -> None:
        (self._zone / name).write_text(f"{text}\n")


def heat_and_cool(device: Path, zone: Zone) -> None:
    """Heat the device until its policy has it answer no more, and let it cool down.

    Raises:
        DemoFailedError: Something else was decided.
    """
    kit = json.loads((GAUGE / "kit/kit.json").read_text())
    picture = (GAUGE / "kit" / kit["samples"][0]["input"]).read_bytes()
    table = [f"{'heat':>6}  {'level':<10}{'status':<8}{'answer':<42}rule"]
    for warmth in AFTERNOON:
        zone.heat(warmth.celsius)
        print(f"{warmth.celsius} degrees")
        wait_for(partial(is_obeyed, device, picture, warmth), f"{warmth.answer or 'nobody'} to answer")
        status, body = exchange(device, "POST", f"/v2/models/{MODEL}/infer", picture, WHOLE_BODY)
        rule = rule_of(device)
        table.append(f"{warmth.celsius:>4} C  {warmth.level:<10}{status:<8}{words(status, body):<42}{rule}")
        if rule != warmth.rule:
            raise DemoFailedError(f"rule {rule} decided at {warmth.celsius} degrees, not {warmth.rule}")
    print(*table, sep="\n")
    edgectl(device, "policy", "explain", "--model", MODEL, "--set", "thermal=serious")


def is_obeyed(device: Path, picture: bytes, warmth: Warmth) -> bool:
    """Tell whether the device has noticed how warm it is, and answers accordingly."""
    return level_of(device) == warmth.level and answerer(device, picture) == warmth.answer


def level_of(device: Path) -> str:
    """Return the thermal level that the device knows of."""
    return str(ask(device, "GET", "/edged/v1/context")["quantities"]["thermal"]["value"])


def rule_of(device: Path) -> str:
    """Return the rule that decides about interactive requests."""
    decisions = ask(device, "GET", "/edged/v1/decisions")["decisions"]
    return str(next(item["rule"] for item in decisions if (item["model"], item["request"]) == (MODEL, "interactive")))


def answerer(device: Path, picture: bytes) -> str:
    """Return the precision of the variant that answers a request; empty when it is refused for now."""
    status, body = exchange(device, "POST", f"/v2/models/{MODEL}/infer", picture, WHOLE_BODY)
    return (
        ""
        if status == http.client.SERVICE_UNAVAILABLE
        else str(json.loads(body)["parameters"]["variant"]).split("-")[-2]
    )


def words(status: int, body: bytes) -> str:
    """Say what an answer says."""
    answer = json.loads(body)
    if status != http.client.OK:
        return f"not now ({answer['type'].rsplit('/')[-1]})"
    outputs = {output["name"]: output["data"][0] for output in answer["outputs"]}
    return f"{outputs['angle']:.1f} degrees, by {answer['parameters']['variant']}"
