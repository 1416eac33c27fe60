"""Times, spans and sizes as people read them. Pure."""

from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """Write a span of time with its two largest units, the second one if it is there; a clock that went back shows no time at all."""
    left = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for unit, size_s in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size_s)
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "0 s"


def count(number: int, noun: str) -> str:
    """Write a number of things that take an s when there are several."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(count_bytes: float) -> str:
    """Write a number of bytes in decimal units."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def ago(at_s: float, now_s: float) -> str:
    """Write how long ago something was, by a clock that may have been set since."""
    if at_s > now_s + 1:
        # The clock was set back since; the moment itself is still a fact.
        return datetime.fromtimestamp(at_s, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{duration(now_s - at_s)} ago"


def joules_text(joules: float) -> str:
    """Write an energy with a unit in which it is neither very large nor very small."""
    if joules >= 3600:
        return f"{joules / 3600:.2f} Wh"
    return f"{joules:.1f} J" if joules >= 1 else f"{1000 * joules:.2f} mJ"
