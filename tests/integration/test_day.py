"""A whole day on a device where anything may happen at any time: the real code from what sensors say to events and background work.

Time is a number that the test moves. The seed is fixed, so a day that passes always passes; other seeds find more, one after the other.
"""

import asyncio
import gc
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from edged.api.event_log import Events
from edged.config.schema import BackgroundConfig
from edged.daemon.decisions.decider import Decider
from edged.daemon.decisions.decision_log import DecisionLog
from edged.daemon.decisions.holding import Holding
from edged.daemon.pace import JOURNAL_MOST
from edged.daemon.senses.announcing import Announcer
from edged.daemon.senses.network import Network, unknown_network
from edged.daemon.senses.own import Own
from edged.daemon.senses.senses import Senses
from edged.errors import DeferredError, EdgedError, PolicyDeniedError
from edged.policy.ask import Ask
from edged.policy.combine import combine
from edged.policy.document import Rule, Then
from edged.policy.parse import parse_policy
from edged.runtime.calls import RequestClass
from edged.select.check import made_up_variants
from edged.select.decision import Action, Incumbent, Regulatory
from edged.sense.context import Link
from edged.sense.reading import known
from edged.sense.snapshot import DeviceText, Snapshot
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakePolicies, FakeVariants
from tests.fakes.requests import BACKGROUND, Asked, request_of
from tests.fakes.served_workers import settle

POLICIES = [
    parse_policy(path.read_bytes(), source=path.name)
    for path in sorted((Path(__file__).parents[2] / "policies").glob("*.toml"))
]
MODELS = ("gauge", "lane")
ASKS = [Ask(model=m, request_class=c, has_consent=h) for m in MODELS for c in RequestClass for h in (False, True)]
OVERRIDES = (Then(variants=("int8",)), Then(deny="under repair"), Then(defer_s=5))
LOOK_S = 60.0
DWELL_S = 600.0
"""Longer than policies say: there are few looks in this day."""
DAY_S = 86400.0
RULES = BackgroundConfig()


class Sensors:
    """What the kernel shows: a board with a battery, which warms, is drained, and at times says nonsense or nothing at all."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.celsius, self.percent, self.is_plugged, self.is_slowed = 50.0, 80.0, True, False
        self.is_blind = self.has_lost_supplies = False

    def drift(self) -> None:
        chance = self.chance
        self.celsius = min(max(self.celsius + chance.uniform(-6, 6.3), 20.0), 99.0)
        self.percent = min(max(self.percent + chance.uniform(0, 2) * (1 if self.is_plugged else -1), 0.0), 100.0)
        self.is_plugged ^= chance.random() < 0.05
        self.is_slowed ^= chance.random() < 0.05
        self.is_blind ^= chance.random() < 0.01
        self.has_lost_supplies ^= chance.random() < 0.01

    async def look(self) -> None:
        """Nothing is read before it is asked for."""

    def missing(self) -> dict[str, str]:
        return {"supplies": "it has not answered for 20 s"} if self.has_lost_supplies else {}

    def snapshot(self) -> Snapshot:
        if self.is_blind:
            return Snapshot(why_unreadable="/sys/class cannot be read")
        nonsense = self.chance.random() < 0.02
        temp = (
            self.chance.choice(["", "-273150", "2147483647", "45000 mC"]) if nonsense else f"{self.celsius * 1000:.0f}"
        )
        zone = {"type": "cpu-thermal", "temp": temp, "trip_point_0_type": "passive", "trip_point_0_temp": "85000"}
        status = "Charging" if self.is_plugged else "Discharging"
        battery = {"type": "Battery", "status": status, "capacity": f"{self.percent:.0f}", "power_now": "8000000"}
        return Snapshot(
            devices={
                "zones": (DeviceText(name="thermal_zone0", texts=zone),),
                "supplies": (
                    DeviceText(name="BAT0", texts=battery),
                    DeviceText(name="AC", texts={"type": "Mains", "online": str(int(self.is_plugged))}),
                ),
                "coolers": (
                    DeviceText(
                        name="cooling_device0", texts={"type": "Processor", "cur_state": str(int(self.is_slowed))}
                    ),
                ),
            },
            files={"pressure/cpu": f"some avg10={self.chance.choice([1, 1, 1, 60, 95])}.00 x", "loadavg": "0.5 0 0"},
        )


class Device:
    """Senses, rules and variants by which it is decided, and whoever is told."""

    def __init__(self, seed: int, journal: list) -> None:
        self.chance = random.Random(seed)
        self.now_s, self.wall_s = 1000.0, 1.8e9
        self.loop = asyncio.get_running_loop()
        self.loop.time = lambda: self.now_s
        self.failures: list[object] = []
        self.loop.set_exception_handler(lambda _loop, context: self.failures.append(context))
        clock = SimpleNamespace(monotonic_s=lambda: self.now_s, unix_s=lambda: self.wall_s + self.now_s)
        self.sensors, self.network, self.flags = Sensors(self.chance), unknown_network("no gate"), {}
        own = Own(
            clock=clock,
            idle_s=lambda: self.chance.choice((0.0, 30.0, 4000.0)),
            trusted_unix_s=lambda: 1.75e9,
            network=lambda: self.network,
            flags=lambda: dict(self.flags),
            regulatory=lambda: self.policies.regulatory.name,
            labels={"ring": "canary"},
        )
        self.policies, self.variants, self.accuracy = FakePolicies(), FakeVariants(), FakeAccuracy()
        self.overrides: dict[str, Rule] = {}
        self.changes = 0
        """How often rules or variants became others."""
        self.senses = Senses(sight=self.sensors, own=own, clock=clock, poll_s=lambda: LOOK_S)
        self.events = Events(epoch="1")
        announcer = Announcer(self.events, self.senses.current, clock=clock, later=self.loop.call_later)
        self.senses.on_change(announcer.take)
        log = DecisionLog(
            clock,
            precision=lambda _model, variant: variant.split("-")[2],
            publish=lambda change: self.events.publish("decision", change),
            later=self.loop.call_later,
        )
        self.decider = Decider(
            contexts=self.senses,
            policies=self.policies,
            variants=self.variants,
            accuracy=self.accuracy,
            endpoint=FakeEndpoint("gauge"),
            noted=log.note,
        )
        self.holding = Holding(rules=lambda: RULES, run_s=lambda: 30.0)
        self.decider.on_change(self.holding.wake)
        self.under_way: list = []
        self.asked: list[Asked] = []
        self.told = 0
        self.journal = journal
        self.journaled: Counter = Counter()
        self.incumbents: dict[Ask, tuple[int, Incumbent | None]] = {}
        """What each kind of request had last, and how many changes there had been by then."""
        for model in MODELS:
            self.load(model)

    def load(self, model: str) -> None:
        self.variants.become(model, *made_up_variants(("fp32", "fp16", "int8"), model=model))

    async def pass_s(self, seconds: float) -> None:
        """Let time pass; what runs has ended then."""
        self.now_s += seconds
        await settle()
        for call in self.under_way:
            if not call.is_finished:
                call.finish(EdgedError("it failed"))
        self.under_way.clear()
        await self.senses.refresh()
        await settle()

    async def live(self) -> None:
        """Let something happen, and look at the sensors."""
        chance = self.chance
        for what, often in (
            (self.replace_policies, 0.05),
            (self.override, 0.02),
            (self.change_mode, 0.02),
            (self.change_variants, 0.06),
            (self.change_network, 0.05),
            (self.set_clock, 0.02),
        ):
            if chance.random() < often:
                what()
        self.sensors.drift()
        if chance.random() < 0.01:
            await self.wobble()
        asleep_s = 8 * 3600.0 if chance.random() < 0.002 else 0.0
        await self.pass_s(LOOK_S + asleep_s)

    def replace_policies(self) -> None:
        local, remote, packaged = (self.chance.choice([None, *POLICIES]) for _ in range(3))
        rules = combine(overrides=tuple(self.overrides.values()), local=local, remote=remote, packaged=packaged)
        self.policies.become(*(replace(ranked, dwell_s=DWELL_S) for ranked in rules[:-1]))
        self.changes += 1

    def override(self) -> None:
        model = self.chance.choice(MODELS)
        if self.overrides.pop(model, None) is None:
            then = self.chance.choice(OVERRIDES)
            self.overrides[model] = Rule(name="override", when=({"model": (model,)},), then=then)
        self.replace_policies()

    def change_mode(self) -> None:
        self.policies.regulatory = Regulatory(name="eu", forbids_offload=self.chance.random() < 0.5)
        self.replace_policies()

    def change_variants(self) -> None:
        """As a model is removed and comes back, or a variant of it fails here."""
        model = self.chance.choice(MODELS)
        self.changes += 1
        if self.chance.random() < 0.3:
            self.variants.become(model)
        elif (every := self.variants.known(model)) and self.chance.random() < 0.5:
            self.variants.become(model, *every, unusable={self.chance.choice(every).id: ("it failed its kit",)})
        else:
            self.load(model)

    def change_network(self) -> None:
        link = known(self.chance.choice(list(Link)))
        self.network = Network(link=link, metered=known(self.chance.random() < 0.5), round_trip_s=known(0.1))
        self.flags["beta"] = self.chance.choice([True, 2, "x"])
        self.accuracy.become(gauge=self.chance.choice(["ok", "degraded"]))

    def set_clock(self) -> None:
        self.wall_s = min(max(self.wall_s + self.chance.choice([-1e9, -3600.0, 3600.0, 1e9]), 0.0), 4e9)

    async def wobble(self) -> None:
        """A loose plug."""
        for _ in range(40):
            self.sensors.is_plugged ^= True
            await self.pass_s(0.1)

    def ask(self) -> None:
        """Have somebody ask for work in the background."""
        ask = self.chance.choice([ask for ask in ASKS if ask.request_class is BACKGROUND])
        within_s = self.chance.choice((40.0, 600.0, 7200.0))
        asked = Asked(
            request_of(deadline_s=self.now_s + within_s, uid=self.chance.randrange(9), request_class=BACKGROUND)
        )
        self.asked.append(asked)
        try:
            self.holding.keep(ask, asked.call, go_on=lambda call: self.go_on(ask, call))
        except EdgedError as exc:
            asked.call.finish(exc)

    def go_on(self, ask: Ask, call) -> None:
        decision = self.decider.decide(ask)
        if decision.action is Action.DENY:
            raise PolicyDeniedError(decision.denial, rule=decision.rule)
        if decision.action is Action.DEFER:
            raise DeferredError("later", rule=decision.rule, retry_after_s=decision.retry_after_s)
        self.under_way.append(call)

    def look(self) -> None:
        """Make sure of what has to hold at any time."""
        assert not self.failures
        for ask in ASKS:
            if self.variants.known(ask.model):
                self.look_at(ask)
        news = [event.number for event in self.events.after(self.told, most=1000)]
        assert news == sorted(set(news))
        assert all(number > self.told for number in news)
        self.told = self.events.newest
        self.journaled.update((self.now_s // 60, kind_of(record)) for record in self.journal)
        self.journal.clear()
        over = [asked for asked in self.asked if asked.is_finished]
        assert all(len(asked.outcomes) == 1 for asked in over)
        self.asked = [asked for asked in self.asked if not asked.is_finished]
        assert all(asked.call.request.deadline_s > self.now_s for asked in self.asked)

    def look_at(self, ask: Ask) -> None:
        decision = self.decider.decide(ask)
        match decision.action:
            case Action.RUN:
                assert decision.variant in {variant.id for variant in self.variants.known(ask.model)}
                assert decision.variant not in self.variants.unusable(ask.model)
            case Action.DEFER:
                assert decision.retry_after_s > 0
            case Action.DENY:
                assert decision.denial
            case Action.OFFLOAD:
                assert ask.has_consent
                assert ask.model == "gauge"
        changes, last = self.incumbents.get(ask, (-1, None))
        if changes == self.changes and last is not None and decision.incumbent.variant != last.variant:
            assert decision.rank < last.rank or self.now_s >= last.until_s, "it did not stay for its dwell time"
        self.incumbents[ask] = self.changes, decision.incumbent


def kind_of(record) -> tuple:
    fields = record.edged_fields
    return record.msg, *(fields.get(name) for name in ("model", "request", "consent", "sensor"))


async def test_a_day_of_anything_leaves_a_decision_about_every_request_and_nothing_behind(caplog):
    caplog.set_level("INFO")
    device = Device(7, caplog.records)
    began_s, sizes = device.now_s, []
    while device.now_s - began_s < DAY_S:
        await device.live()
        for _ in range(device.chance.choice((0, 0, 1, 3))):
            device.ask()
        await settle()
        device.look()
        if len(sizes) < (device.now_s - began_s) // (DAY_S / 4):
            gc.collect()
            sizes.append(len(gc.get_objects()))

    await device.pass_s(7200.0)
    device.look()
    assert not device.asked
    assert not sum(work.kept + work.under_way for work in device.holding.work().values())
    assert max(device.journaled.values()) <= JOURNAL_MOST + 1
    assert device.told > 500
    assert max(sizes) - sizes[0] < 2000
    device.decider.close()
    device.holding.close()
