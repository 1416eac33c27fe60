"""What is learned about variants: by looking at those that are loaded, kept over restarts for as long as a slot has the version."""

import weakref
from types import SimpleNamespace

import pytest

from edged.daemon.variants.measures import WRITE_EVERY_S, Measures, needed_bytes
from edged.daemon.variants.passed_over import FORGOTTEN_AFTER_S
from edged.energy.days import RunEnergy
from edged.errors import StoreError
from edged.ids import Digest
from edged.select.observed import FEWEST_RUNS
from edged.store.state import StateDb
from edged.telemetry.histogram import Histogram
from edged.telemetry.serving import DURATION_BOUNDS_S, PARTS

DIGEST, OTHER = Digest("a" * 64), Digest("b" * 64)
STATUS = "PPid:\t{parent}\nVmHWM:\t9 kB\nVmSwap:\t0 kB\nRssAnon:\t{own} kB\nRssFile:\t5 kB\nRssShmem:\t0 kB\n"


class Loaded:
    """A variant that is loaded, as far as measuring goes."""

    def __init__(self, id_: str = "fp32", *, digest: Digest = DIGEST, pid: int = 0) -> None:
        self.loadable = SimpleNamespace(bundle=SimpleNamespace(digest=digest), variant=SimpleNamespace(id=id_))
        self.run_times = Histogram(DURATION_BOUNDS_S, parts=PARTS)
        self.worker = SimpleNamespace(pid=pid) if pid else None

    def run(self, time_s: float, times: int = FEWEST_RUNS) -> None:
        for _ in range(times):
            self.run_times.observe(time_s)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def state(path):
    state = StateDb.open(path)
    yield state
    state.close()


def write_process(proc, pid: int, *, parent: int, own: int) -> None:
    (proc / str(pid)).mkdir(parents=True, exist_ok=True)
    (proc / str(pid) / "status").write_text(STATUS.format(parent=parent, own=own))


def test_runs_are_counted_once_however_often_one_looks(state):
    measures, loaded = Measures(state, energy=dict), Loaded()
    loaded.run(0.001)
    assert measures.look([loaded], now_s=0.0) == {DIGEST}
    for _ in range(5):
        assert measures.look([loaded], now_s=0.0) == set(), "nothing is another figure"
    loaded.run(0.1, times=1)
    measures.look([loaded], now_s=0.0)

    assert measures.of(DIGEST)["fp32"].latency_s == pytest.approx(0.001, rel=0.25), "one slow run in 21"


def test_variant_that_is_loaded_again_goes_on_where_it_was(state):
    measures = Measures(state, energy=dict)
    for _ in range(2):
        loaded = Loaded()
        loaded.run(0.01, times=FEWEST_RUNS // 2)
        measures.look([loaded], now_s=0.0)
        measures.look([], now_s=0.0)

    assert measures.of(DIGEST)["fp32"].latency_s == pytest.approx(0.01, rel=0.25)


def test_what_was_measured_while_it_was_hot_does_not_count_for_ever(state):
    """A variant that is passed over is not measured again, so nothing new would ever speak for it."""
    measures, slow, other = Measures(state, energy=dict), Loaded("fp32"), Loaded("int8")
    slow.run(0.5)
    measures.look([slow, other], now_s=0.0)
    assert measures.of(DIGEST)["fp32"].latency_s == pytest.approx(0.5, rel=0.25)

    for now_s in (10.0, 10.0 + FORGOTTEN_AFTER_S - 1):
        other.run(0.1)
        measures.look([slow, other], now_s=now_s)
    before = measures.of(DIGEST)["fp32"].latency_s
    other.run(0.1)
    changed = measures.look([slow, other], now_s=10.0 + FORGOTTEN_AFTER_S)

    assert before is not None
    assert (changed, measures.of(DIGEST)["fp32"].latency_s) == ({DIGEST}, None)
    assert measures.of(DIGEST)["int8"].latency_s == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize("also", ["nobody", "itself"])
def test_what_nobody_runs_and_what_runs_itself_is_not_forgotten(state, also):
    measures, one, other = Measures(state, energy=dict), Loaded("fp32"), Loaded("int8")
    one.run(0.5)
    for turn in range(5):
        if also == "itself":
            other.run(0.1)
            one.run(0.5)
        measures.look([one, other], now_s=turn * FORGOTTEN_AFTER_S)

    assert measures.of(DIGEST)["fp32"].latency_s == pytest.approx(0.5, rel=0.25)


def test_what_is_not_loaded_any_more_is_not_held_on_to(state):
    """It has its worker's memory and all its requests' times."""
    measures, loaded = Measures(state, energy=dict), Loaded()
    loaded.run(0.01)
    measures.look([loaded], now_s=0.0)
    gone = weakref.ref(loaded)
    del loaded
    measures.look([], now_s=10.0)

    assert gone() is None


async def test_what_is_learned_while_the_disk_writes_is_written_the_next_time(state, monkeypatch):
    measures = Measures(state, energy=dict)
    measures.note_passed(DIGEST, "fp32")
    write = state.write_variants

    def learn_meanwhile(items):
        write(items)
        measures.note_passed(DIGEST, "int8")

    monkeypatch.setattr(state, "write_variants", learn_meanwhile)
    await measures.write({DIGEST})
    monkeypatch.undo()
    await measures.write({DIGEST})

    assert [item.id for item in state.read_variants()] == ["fp32", "int8"]


async def test_what_the_disk_refuses_is_written_the_next_time(state, monkeypatch):
    measures = Measures(state, energy=dict)
    measures.note_passed(DIGEST, "fp32")

    def refuse(_items):
        raise StoreError("no space left")

    monkeypatch.setattr(state, "write_variants", refuse)
    with pytest.raises(StoreError):
        await measures.write({DIGEST}, now_s=1000.0)
    monkeypatch.undo()
    await measures.write({DIGEST}, now_s=1001.0)

    assert [item.id for item in state.read_variants()] == ["fp32"]


def test_memory_is_what_a_worker_has_beyond_its_template_at_most(state, tmp_path):
    measures, loaded = Measures(state, energy=dict, proc=tmp_path), Loaded(pid=7)
    write_process(tmp_path, 1, parent=0, own=1000)
    for own in (3000, 5000, 2000):
        write_process(tmp_path, 7, parent=1, own=own)
        measures.look([loaded], now_s=0.0)

    assert measures.of(DIGEST)["fp32"].memory_bytes == 4000 << 10
    assert needed_bytes(8, proc=tmp_path) is None
    write_process(tmp_path, 7, parent=2, own=3000)
    assert needed_bytes(7, proc=tmp_path) is None, "nothing is known of what it was forked from"


def test_energy_is_looked_up_and_news_when_it_is_another_one(state):
    energy = {}
    measures, loaded = Measures(state, energy=lambda: energy), Loaded()
    loaded.run(0.01)
    measures.look([loaded], now_s=0.0)
    assert (measures.of(DIGEST)["fp32"].joules, measures.of(DIGEST)["fp32"].watts) == (None, None)
    energy["fp32"] = RunEnergy(joules=0.1, watts=2.0)
    assert measures.look([loaded], now_s=0.0) == {DIGEST}
    published = measures.of(DIGEST)
    energy["fp32"] = RunEnergy(joules=0.105, watts=2.1)
    assert measures.look([loaded], now_s=0.0) == set()
    assert measures.of(DIGEST) is published, "what is decided by it is kept"
    energy["fp32"] = RunEnergy(joules=0.2, watts=4.0)

    assert measures.look([loaded], now_s=0.0) == {DIGEST}
    assert measures.of(DIGEST)["fp32"].joules == 0.2


async def test_energy_of_what_is_known_is_there_from_the_start(state):
    before = Measures(state, energy=dict)
    before.note_passed(DIGEST, "fp32")
    await before.write({DIGEST})

    measures = Measures(state, energy=lambda: {"fp32": RunEnergy(joules=0.1, watts=2.0)})

    assert measures.of(DIGEST)["fp32"].watts == 2.0


async def test_what_was_learned_outlives_the_daemon(path):
    state = StateDb.open(path)
    measures, loaded = Measures(state, energy=dict), Loaded()
    loaded.run(0.01)
    measures.look([loaded], now_s=0.0)
    measures.note_passed(DIGEST, "int8")
    await measures.write({DIGEST})
    state.close()
    state = StateDb.open(path)
    again = Measures(state, energy=dict)
    state.close()

    assert again.of(DIGEST)["fp32"] == measures.of(DIGEST)["fp32"]
    assert again.has_passed(DIGEST, "int8")
    assert not again.has_passed(DIGEST, "fp32")


async def test_what_was_learned_about_a_version_is_forgotten_with_it(state):
    measures = Measures(state, energy=dict)
    measures.note_passed(DIGEST, "fp32")
    measures.note_passed(OTHER, "int8")
    measures.look([Loaded(digest=DIGEST), Loaded("int8", digest=OTHER)], now_s=0.0)
    await measures.write({DIGEST, OTHER})
    assert measures.of(DIGEST).keys() == {"fp32"}
    await measures.write({OTHER})

    assert not measures.has_passed(DIGEST, "fp32")
    assert (measures.of(DIGEST), measures.of(OTHER).keys()) == ({}, {"int8"})
    assert [item.digest for item in state.read_variants()] == [OTHER]


async def test_flash_memory_is_spared(state):
    measures = Measures(state, energy=dict)
    measures.note_passed(DIGEST, "fp32")
    await measures.write({DIGEST}, now_s=1000.0)
    measures.note_passed(DIGEST, "int8")
    await measures.write({DIGEST}, now_s=1000.0 + WRITE_EVERY_S - 1)
    early = [item.id for item in state.read_variants()]
    await measures.write({DIGEST}, now_s=1000.0 + WRITE_EVERY_S)

    assert early == ["fp32"]
    assert [item.id for item in state.read_variants()] == ["fp32", "int8"]


async def test_what_is_nothing_new_is_not_written(state, monkeypatch):
    measures, loaded = Measures(state, energy=dict), Loaded()
    written = []
    monkeypatch.setattr(state, "write_variants", written.append)
    measures.look([loaded], now_s=0.0)
    await measures.write({DIGEST})
    assert written == [], "nothing is known"

    loaded.run(0.01)
    measures.look([loaded], now_s=0.0)
    measures.note_passed(DIGEST, "fp32")
    await measures.write({DIGEST})
    measures.look([loaded], now_s=10.0)
    measures.note_passed(DIGEST, "fp32")
    await measures.write({DIGEST})

    assert len(written) == 1
