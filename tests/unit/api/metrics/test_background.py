"""What Prometheus reads about background work."""

from edged.api.documents.background import BackgroundStatus
from edged.api.metrics.background import add_background
from edged.telemetry.exposition import Exposition


def lines_of(**work: BackgroundStatus) -> list[str]:
    text = Exposition()
    add_background(text, work)
    return [line for line in text.encode().decode().splitlines() if line and not line.startswith("#")]


def test_each_model_is_told_with_what_is_kept_and_how_others_ended():
    status = BackgroundStatus(kept=3, under_way=1, size_bytes=9, longest_s=90.5, ended={"finished": 7, "deadline": 1})

    assert lines_of(echo=status) == [
        'edged_background_kept{model="echo"} 3',
        'edged_background_kept_bytes{model="echo"} 9',
        'edged_background_kept_longest_seconds{model="echo"} 90.5',
        'edged_background_ended_total{model="echo",result="finished"} 7',
        'edged_background_ended_total{model="echo",result="deadline"} 1',
        'edged_background_ended_total{model="echo",result="abandoned"} 0',
        'edged_background_ended_total{model="echo",result="refused"} 0',
    ]


def test_a_device_that_never_kept_anything_says_nothing():
    assert lines_of() == []
