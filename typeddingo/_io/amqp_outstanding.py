"""What one channel has been given and has not acknowledged, and how to say so with few frames. Used by a consumer.

Knows of each message which consumer it came through: a consumer that holds all it may has nothing on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["Outstanding"]


class Outstanding:
    """Delivery tags of one epoch; they only rise. Lives on the link's thread."""

    def __init__(self) -> None:
        self._consumers: dict[int, str] = {}
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._consumers)

    def __contains__(self, tag: int) -> bool:
        return tag in self._consumers

    def add(self, tag: int, consumer: str) -> None:
        self._consumers[tag] = consumer
        self._held[consumer] += 1

    def held(self, consumer: str) -> int:
        """How many of its messages are not settled."""
        return self._held[consumer]

    def settle(self, tags: Sequence[int]) -> list[int]:
        """Forget them; returns those that were there."""
        mine: list[int] = []
        for tag in tags:
            if (consumer := self._consumers.pop(tag, None)) is not None:
                self._held[consumer] -= 1
                mine.append(tag)
        return mine

    def acknowledge(self, tags: Sequence[int]) -> list[tuple[int, bool]]:
        """Forget them; returns the acknowledgements to send: a tag, and whether it stands for all before it too. Those
        that nothing older is left of go as one."""
        mine = sorted(self.settle(tags))
        oldest = next(iter(self._consumers), None)
        prefix = [tag for tag in mine if oldest is None or tag < oldest]
        frames = [(prefix[-1], len(prefix) > 1)] if prefix else []
        if len(prefix) < len(mine):
            frames += [(tag, False) for tag in mine if oldest is not None and tag > oldest]
        return frames

    def clear(self) -> None:
        self._consumers.clear()
        self._held.clear()
