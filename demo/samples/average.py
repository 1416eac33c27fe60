"""Moving averages over a stream of readings."""

from collections import deque


class MovingAverage:
    def __init__(self, size: int) -> None:
        self._window: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> float:
        self._window.append(value)
        return sum(self._window) / len(self._window)


if __name__ == "__main__":
    average = MovingAverage(3)
    for reading in (20.5, 21.0, 23.5, 22.0):
        print(f"{reading:.1f} -> {average.add(reading):.2f}")
