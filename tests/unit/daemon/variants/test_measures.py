"""What is learned about variants: by looking at those that are loaded, kept over restarts for as long as a slot has the version."""

from types import SimpleNamespace

import pytest

from edged.daemon.variants.measures import WRITE_EVERY_S, Measures, needed_bytes
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
    measures, loaded = Measures(state), Loaded()
    loaded.run(0.001)
    assert measures.look([loaded]) == {DIGEST}
    for _ in range(5):
        assert measures.look([loaded]) == set(), "nothing is another figure"
    loaded.run(0.1, times=1)
    measures.look([loaded])

    assert measures.of(DIGEST)["fp32"].latency_s == pytest.approx(0.001, rel=0.25), "one slow run in 21"


def test_variant_that_is_loaded_again_goes_on_where_it_was(state):
    measures = Measures(state)
    for _ in range(2):
        loaded = Loaded()
        loaded.run(0.01, times=FEWEST_RUNS // 2)
        measures.look([loaded])
        measures.look([])

    assert measures.of(DIGEST)["fp32"].latency_s == pytest.approx(0.01, rel=0.25)


def test_memory_is_what_a_worker_has_beyond_its_template_at_most(state, tmp_path):
    measures, loaded = Measures(state, proc=tmp_path), Loaded(pid=7)
    write_process(tmp_path, 1, parent=0, own=1000)
    for own in (3000, 5000, 2000):
        write_process(tmp_path, 7, parent=1, own=own)
        measures.look([loaded])

    assert measures.of(DIGEST)["fp32"].memory_bytes == 4000 << 10
    assert needed_bytes(8, proc=tmp_path) is None


async def test_what_was_learned_outlives_the_daemon(path):
    state = StateDb.open(path)
    measures, loaded = Measures(state), Loaded()
    loaded.run(0.01)
    measures.look([loaded])
    measures.note_passed(DIGEST, "int8")
    await measures.write({DIGEST})
    state.close()
    state = StateDb.open(path)
    again = Measures(state)
    state.close()

    assert again.of(DIGEST)["fp32"] == measures.of(DIGEST)["fp32"]
    assert again.has_passed(DIGEST, "int8")
    assert not again.has_passed(DIGEST, "fp32")


async def test_what_was_learned_about_a_version_is_forgotten_with_it(state):
    measures = Measures(state)
    measures.note_passed(DIGEST, "fp32")
    measures.note_passed(OTHER, "fp32")
    await measures.write({OTHER})

    assert not measures.has_passed(DIGEST, "fp32")
    assert [item.digest for item in state.read_variants()] == [OTHER]


async def test_flash_memory_is_spared(state):
    measures = Measures(state)
    measures.note_passed(DIGEST, "fp32")
    await measures.write({DIGEST}, now_s=1000.0)
    measures.note_passed(DIGEST, "int8")
    await measures.write({DIGEST}, now_s=1000.0 + WRITE_EVERY_S - 1)
    early = [item.id for item in state.read_variants()]
    await measures.write({DIGEST}, now_s=1000.0 + WRITE_EVERY_S)

    assert early == ["fp32"]
    assert [item.id for item in state.read_variants()] == ["fp32", "int8"]
