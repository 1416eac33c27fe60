"""Print results for people."""

from typing import Any


def print_tables(results: dict[str, Any]) -> None:
    """Print one table for each model, then overload, memory and start."""
    print(f"\n{results['machine']}; " + ", ".join(f"{name} {value}" for name, value in results["versions"].items()))
    head = f"{'':24}{'p50 us':>9}{'p99 us':>9}{'added us':>10}{'1/s, 8':>9}{'1/s, 32':>9}{'CPU ms':>8}"
    for model in dict.fromkeys(row["model"] for row in results["rows"]):
        print(f"\n{model}\n{head}")
        for row in results["rows"]:
            if row["model"] == model:
                print(_line(row))
    _print_overload(results["overload"])
    print(f"\n{'one small model':24}{'PSS MB':>9}{'start s':>9}")
    for name, service in results["service"].items():
        print(f"{name:24}{service['pss_bytes'] / 1e6:>9.0f}{service['cold_start_s']:>9.2f}")


def _print_overload(overload: dict[str, Any]) -> None:
    statuses, memory = overload["statuses"], overload["pss_bytes"]
    total = sum(statuses.values())
    print(f"\n{overload['model']}, {overload['per_s']:.0f} requests/s for {overload['seconds']:g} s")
    shares = [f"{status} {count / total:.1%}" for status, count in sorted(statuses.items())]
    hints = f"{overload['without_hint']} refusals without Retry-After, {overload['held_back']} requests held back"
    print(f"{'answered':24}{', '.join(shares)}; {hints}")
    ratio = overload["p99_us"] / overload["alone_p99_us"]
    print(f"{'':24}{'p50 us':>9}{'p99 us':>9}{'p99, times':>12}")
    print(f"{'alone':24}{overload['alone_p50_us']:>9.0f}{overload['alone_p99_us']:>9.0f}")
    print(f"{'those with 200':24}{overload['p50_us']:>9.0f}{overload['p99_us']:>9.0f}{ratio:>12.1f}")
    sizes = ", ".join(f"{when} {size / 1e6:.1f}" for when, size in memory.items())
    print(f"{'PSS MB':24}{sizes} ({max(memory.values()) / memory['before'] - 1:+.1%})")


def _line(row: dict[str, Any]) -> str:
    rates = {int(clients): rate for clients, rate in row["per_s"].items()}
    cells = [
        f"{row['p50_us']:>9.0f}",
        f"{row['p99_us']:>9.0f}",
        _cell(row["added_us"], 10, 0),
        _cell(rates.get(8), 9, 0),
        _cell(rates.get(32), 9, 0),
        _cell(row["cpu_ms_per_request"], 8, 2),
    ]
    return f"{row['way']:24}{''.join(cells)}"


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'':>{width}}" if value is None else f"{value:>{width}.{digits}f}"
