"""What a layout of tasks on Redis must be able to do. Comes from ``RedisBroker``; the layouts implement it."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from typeddingo.broker import Confirmation, Listener, Parcel
from typeddingo.inspection import DeadTask, QueueState

__all__ = ["Layout"]


class Layout(abc.ABC):
    """Thread-safe."""

    carries_reply_to: bool
    """The address of reports lies beside the frame."""

    @abc.abstractmethod
    def send(self, parcels: Sequence[Parcel]) -> Confirmation: ...

    @abc.abstractmethod
    def listen(self, name: str, prefetch: int) -> Listener: ...

    @abc.abstractmethod
    def stop_listeners(self) -> None: ...

    @abc.abstractmethod
    def close(self) -> None: ...

    @abc.abstractmethod
    def queue(self, name: str) -> QueueState: ...

    @abc.abstractmethod
    def dead(self, name: str, limit: int) -> Sequence[DeadTask]: ...

    @abc.abstractmethod
    def replay(self, name: str, keys: Sequence[str] | None) -> int: ...

    @abc.abstractmethod
    def purge(self, name: str, keys: Sequence[str] | None) -> int: ...
