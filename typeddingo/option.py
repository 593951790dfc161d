"""How one task is sent and reported. Comes from the decorator or ``with_options``, travels with the task."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Option"]


@dataclass(frozen=True, slots=True)
class Option:
    """Frozen and shared between threads (Go: ``Option{IR, MP}``; its setters are ``dataclasses.replace`` here)."""

    ignore_report: bool = False
    """No report is ever sent; ``call()`` returns a result that raises ``ReportsIgnored`` when waited for."""
    monitor_progress: bool = False
    """Sent and Progress reports are sent beside the final one. ``ignore_report`` wins over it."""
