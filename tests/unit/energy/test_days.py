"""The book of the last days stays small, and adds up."""

from hypothesis import given
from hypothesis import strategies as st

from edged.codec import decode_json, encode_canonical
from edged.energy.attribution import Cost, Interval
from edged.energy.days import (
    FEWEST_RUNS,
    KEPT_DAYS,
    MOST_MODELS,
    MOST_VARIANTS,
    Book,
    VariantSpent,
    joules_per_run,
    with_interval,
    with_offload,
)
from edged.energy.file import MAX_BOOK_BYTES, read_book, write_book
from edged.energy.processors import read_busy_s

DATE = "2026-11-23"


def interval(*costs, joules=50.0):
    return Interval(
        duration_s=10.0,
        joules=joules,
        costs={key: Cost(runs=runs, run_s=run_s, joules=spent) for key, runs, run_s, spent in costs},
        reason="",
    )


def test_what_happens_on_a_day_adds_up():
    book = Book()
    book = with_interval(book, DATE, interval((("gauge", "fp32"), 10, 1.0, 5.0)), "nominal")
    book = with_interval(book, DATE, interval((("gauge", "fp32"), 20, 2.0, None), joules=None), "serious")
    book = with_offload(book, DATE, "gauge", sent_bytes=100, received_bytes=10)
    book = with_offload(book, DATE, "gauge", sent_bytes=1, received_bytes=2)

    (day,) = book.days
    spent = day.models["gauge"]
    assert spent.variants == {"fp32": VariantSpent(runs=30, run_s=3.0, measured_runs=10, joules=5.0)}
    assert (spent.offloaded, spent.offload_sent_bytes, spent.offload_received_bytes) == (2, 101, 12)
    assert day.level_s == {"nominal": 10.0, "serious": 10.0}
    assert (day.joules, day.joules_s) == (50.0, 10.0)


def test_energy_of_one_run_is_known_once_enough_were_measured():
    few = VariantSpent(runs=1000, measured_runs=FEWEST_RUNS - 1, joules=5.0)
    enough = VariantSpent(runs=1000, measured_runs=FEWEST_RUNS, joules=5.0)

    assert joules_per_run(few) is None
    assert joules_per_run(enough) == 5.0 / FEWEST_RUNS


@given(st.lists(st.integers(0, 60), max_size=100))
def test_no_more_days_are_kept_than_there_is_room_for_and_today_is_one_of_them(offsets):
    """Whichever way the clock is set."""
    book = Book()
    for offset in offsets:
        date = f"2026-{1 + offset // 28:02}-{1 + offset % 28:02}"
        book = with_offload(book, date, "gauge", sent_bytes=1, received_bytes=1)

        dates = [day.date for day in book.days]
        assert date in dates
        assert dates == sorted(set(dates))
        assert len(dates) <= KEPT_DAYS


def test_a_day_with_more_models_and_variants_than_anybody_has_stays_small():
    book = Book()
    for model in range(MOST_MODELS + 5):
        keys = [((f"model-{model}", f"variant-{variant}"), 1, 1.0, 1.0) for variant in range(MOST_VARIANTS + 5)]
        book = with_interval(book, DATE, interval(*keys), "nominal")
        book = with_offload(book, DATE, f"model-{model}", sent_bytes=1, received_bytes=1)

    (day,) = book.days
    assert len(day.models) == MOST_MODELS
    assert all(len(model.variants) <= MOST_VARIANTS for model in day.models.values())
    assert len(encode_canonical(book)) * KEPT_DAYS < MAX_BOOK_BYTES


def test_the_book_survives_a_restart(tmp_path):
    book = with_interval(Book(), DATE, interval((("gauge", "fp32"), 10, 1.0, 5.0)), "nominal")
    write_book(tmp_path / "budget.json", book)

    assert read_book(tmp_path / "budget.json") == book
    assert decode_json(Book, (tmp_path / "budget.json").read_bytes(), source="book") == book


def test_a_book_that_cannot_be_read_is_begun_anew(tmp_path, caplog):
    (tmp_path / "budget.json").write_text("{")

    assert read_book(tmp_path / "budget.json") == Book()
    assert read_book(tmp_path / "missing.json") == Book()
    assert len(caplog.records) == 1


def test_a_disk_that_refuses_is_no_reason_to_stop(tmp_path, caplog):
    write_book(tmp_path / "missing" / "budget.json", Book())

    assert "cannot be kept" in caplog.records[0].message


def test_busy_time_is_that_of_all_processors_without_idle_and_guests(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9000 500 1 2 3 70 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n")

    assert read_busy_s(stat) == 1.56
    assert read_busy_s(tmp_path / "missing") is None
    stat.write_text("cpu 1 2\n")
    assert read_busy_s(stat) is None
    assert read_busy_s() > 0
