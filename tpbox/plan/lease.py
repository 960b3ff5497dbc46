"""Time as Leases (coordination.k8s.io/v1) and people write it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def micro_time(moment: datetime) -> str:
    """A MicroTime: Kubernetes takes it with exactly six digits behind the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str) -> datetime:
    """A MicroTime or Time. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def age(moment: datetime, now: datetime) -> str:
    """How long ago that was: "3 min"."""
    return seconds_words((now - moment).total_seconds())


def seconds_words(seconds: float) -> str:
    """A time in its largest unit: "3 min"; never less than nothing."""
    whole = max(0, int(seconds))
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= length:
            return f"{whole // length} {unit}"
    return f"{whole} s"
