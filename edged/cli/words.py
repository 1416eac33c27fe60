"""Times, spans and sizes as people read them. Pure."""

from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """Write a span of time with its two largest units; a clock that went back shows no time at all."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size_s in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size_s)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


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
