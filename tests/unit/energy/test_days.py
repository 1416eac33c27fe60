"""The book of the last days stays small, and adds up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.codec import decode_json, encode_canonical
from edged.energy.attribution import Cost, Interval
from edged.energy.days import (
    FEWEST_RUNS,
    KEPT_DAYS,
    MOST_MODELS,
    MOST_VARIANTS,
    RECENT_DAYS,
    Book,
    RunEnergy,
    VariantSpent,
    energy_lately,
    joules_per_run,
    run_watts,
    with_interval,
    with_offload,
)
from edged.energy.file import MAX_BOOK_BYTES, read_book, write_book

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
    assert spent.variants == {
        "fp32": VariantSpent(runs=30, run_s=3.0, measured_runs=10, measured_run_s=1.0, joules=5.0)
    }
    assert (spent.offloaded, spent.offload_sent_bytes, spent.offload_received_bytes) == (2, 101, 12)
    assert day.level_s == {"nominal": 10.0, "serious": 10.0}
    assert (day.joules, day.joules_s) == (50.0, 10.0)


def test_energy_of_one_run_is_known_once_enough_were_measured():
    few = VariantSpent(runs=1000, run_s=50.0, measured_runs=FEWEST_RUNS - 1, measured_run_s=1.0, joules=5.0)
    enough = VariantSpent(runs=1000, run_s=50.0, measured_runs=FEWEST_RUNS, measured_run_s=2.0, joules=5.0)

    assert (joules_per_run(few), run_watts(few)) == (None, None)
    assert (joules_per_run(enough), run_watts(enough)) == (5.0 / FEWEST_RUNS, 2.5)


def measured(book, date, runs=FEWEST_RUNS, run_s=1.0, joules=2.0, model="gauge", id_="gauge-1.0.0-fp32-any"):
    return with_interval(book, date, interval(((model, id_), runs, run_s, joules)), "nominal")


def test_energy_lately_is_that_of_the_last_days_on_which_the_device_was_on():
    book = measured(Book(), "2026-10-01", joules=1000.0)
    for day in range(1, RECENT_DAYS):
        book = measured(book, f"2026-11-{2 * day:02}")
    today = "2026-11-30"
    with_october = energy_lately(book, today)
    without = energy_lately(measured(book, today), today)

    assert with_october["gauge-1.0.0-fp32-any"].joules > 1.0
    assert without == {"gauge-1.0.0-fp32-any": RunEnergy(joules=2.0 / FEWEST_RUNS, watts=2.0)}


def test_energy_lately_does_not_count_days_that_are_yet_to_come():
    book = measured(measured(Book(), "2026-11-23"), "2031-01-01", joules=1000.0)

    assert energy_lately(book, "2026-11-23")["gauge-1.0.0-fp32-any"].watts == 2.0
    assert energy_lately(book, "2026-11-22") == {}


def test_energy_lately_is_known_of_each_variant_once_enough_runs_were_measured():
    book = measured(Book(), "2026-11-22", runs=FEWEST_RUNS - 1, run_s=0.95, joules=1.9)
    assert energy_lately(book, DATE) == {}
    book = measured(book, DATE, runs=1, run_s=0.05, joules=0.1)
    book = measured(book, DATE, joules=6.0, id_="gauge-1.0.0-int8-any")
    book = measured(book, DATE, joules=0.0, model="lane", id_="lane-2.0.0-int8-any")

    assert {id_: (found.joules, found.watts) for id_, found in energy_lately(book, DATE).items()} == {
        "gauge-1.0.0-fp32-any": (pytest.approx(0.1), pytest.approx(2.0)),
        "gauge-1.0.0-int8-any": (0.3, 6.0),
        "lane-2.0.0-int8-any": (0.0, 0.0),
    }


OLD = b"""{"days": [{"date": "2026-11-22", "joules": 50.0, "joules_s": 10.0, "level_s": {"nominal": 10.0}, "models": {"gauge": {
"offload_received_bytes": 0, "offload_sent_bytes": 0, "offloaded": 0, "variants": {"fp32":
{"joules": 5.0, "measured_runs": 100, "run_s": 12.0, "runs": 110}}}}}], "schema": 1}"""
"""As edged wrote it before it kept the time of measured runs."""


def test_a_book_of_an_older_edged_is_read_and_what_follows_of_it_is_not_guessed(tmp_path):
    (tmp_path / "budget.json").write_bytes(OLD)
    book = read_book(tmp_path / "budget.json")
    (day,) = book.days
    old = day.models["gauge"].variants["fp32"]
    same_day = measured(book, "2026-11-22", id_="fp32")
    next_day = measured(same_day, DATE, id_="fp32")

    assert (joules_per_run(old), run_watts(old)) == (0.05, None)
    assert run_watts(same_day.days[0].models["gauge"].variants["fp32"]) is None
    assert energy_lately(same_day, "2026-11-22") == {}
    assert energy_lately(next_day, DATE) == {"fp32": RunEnergy(joules=2.0 / FEWEST_RUNS, watts=2.0)}


def test_of_forty_days_the_last_thirty_are_kept():
    book = Book()
    for day in range(40):
        book = with_offload(book, f"2026-{1 + day // 28:02}-{1 + day % 28:02}", "gauge", sent_bytes=1, received_bytes=1)

    assert len(book.days) == 30
    assert book.days[0].date == "2026-01-11"
    assert all(day.models["gauge"].offloaded == 1 for day in book.days)


def test_a_day_of_a_clock_that_was_set_back_takes_the_place_of_the_oldest_other():
    book = Book()
    for day in range(1, 31):
        book = with_offload(book, f"2026-11-{day:02}", "gauge", sent_bytes=1, received_bytes=1)
    book = with_offload(book, "1970-01-01", "gauge", sent_bytes=1, received_bytes=1)

    assert [day.date for day in book.days][:2] == ["1970-01-01", "2026-11-02"]
    assert len(book.days) == 30


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


def test_on_a_full_day_what_is_there_goes_on_counting_and_what_is_new_is_left_out():
    book = Book()
    for model in range(MOST_MODELS):
        keys = [((f"model-{model}", f"variant-{variant}"), 1, 1.0, 1.0) for variant in range(MOST_VARIANTS)]
        book = with_interval(book, DATE, interval(*keys), "nominal")
    for key in (("model-0", "variant-0"), ("model-0", "new"), ("new", "variant-0")):
        book = with_interval(book, DATE, interval((key, 1, 1.0, 1.0)), "nominal")
    for model in ("model-0", "new"):
        book = with_offload(book, DATE, model, sent_bytes=1, received_bytes=1)

    (day,) = book.days
    assert "new" not in day.models
    assert "new" not in day.models["model-0"].variants
    assert day.models["model-0"].variants["variant-0"].runs == 2
    assert day.models["model-0"].offloaded == 1


def test_runs_of_which_none_was_measured_have_no_measured_time():
    book = Book()
    for _ in range(2):
        book = with_interval(book, DATE, interval((("gauge", "fp32"), 10, 1.0, None), joules=None), "nominal")

    assert book.days[0].models["gauge"].variants["fp32"] == VariantSpent(runs=20, run_s=2.0)


def test_the_book_survives_a_restart(tmp_path):
    book = with_interval(Book(), DATE, interval((("gauge", "fp32"), 10, 1.0, 5.0)), "nominal")
    write_book(tmp_path / "budget.json", book)

    assert read_book(tmp_path / "budget.json") == book
    assert decode_json(Book, (tmp_path / "budget.json").read_bytes(), source="book") == book
    assert (tmp_path / "budget.json").stat().st_mode & 0o777 == 0o600


def test_a_book_that_cannot_be_read_is_begun_anew(tmp_path, caplog):
    (tmp_path / "budget.json").write_text("{")

    assert read_book(tmp_path / "budget.json") == Book()
    assert read_book(tmp_path / "missing.json") == Book()
    assert len(caplog.records) == 1
    assert read_book(tmp_path) == Book()
    assert "forgotten" in caplog.records[1].message


def test_a_disk_that_refuses_is_no_reason_to_stop(tmp_path, caplog):
    write_book(tmp_path / "missing" / "budget.json", Book())

    assert "cannot be kept" in caplog.records[0].message
