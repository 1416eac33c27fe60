"""What was fetched on the last days, by model."""

from edged.update.traffic.spent import KEPT_DAYS, MOST_MODELS, SpentDocument, add_spent, read_spent, with_bytes


def test_bytes_of_a_day_and_model_add_up(tmp_path):
    path = tmp_path / "spent.json"
    add_spent(path, date="2026-11-23", model="gauge", size=100)
    add_spent(path, date="2026-11-23", model="gauge", size=11)
    add_spent(path, date="2026-11-23", model="magika", size=1)
    add_spent(path, date="2026-11-24", model="gauge", size=0)

    assert read_spent(path).days == {"2026-11-23": {"gauge": 111, "magika": 1}}


def test_only_the_last_days_are_kept():
    document = SpentDocument()
    for day in range(KEPT_DAYS + 5):
        document = with_bytes(document, date=f"2026-{1 + day // 28:02}-{1 + day % 28:02}", model="gauge", size=1)

    assert len(document.days) == KEPT_DAYS
    assert "2026-01-01" not in document.days


def test_more_models_than_anybody_has_are_counted_together():
    document = SpentDocument()
    for model in range(MOST_MODELS + 5):
        document = with_bytes(document, date="2026-11-23", model=f"model-{model}", size=2)

    (day,) = document.days.values()
    assert len(day) == MOST_MODELS + 1
    assert day[""] == 10


def test_a_file_that_cannot_be_read_or_written_stops_nobody(tmp_path, caplog):
    (tmp_path / "spent.json").write_text("[]")

    assert read_spent(tmp_path / "spent.json") == SpentDocument()
    add_spent(tmp_path / "missing" / "spent.json", date="2026-11-23", model="gauge", size=1)

    assert len(caplog.records) == 2
