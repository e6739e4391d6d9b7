"""How many examples the differential tests run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def budget(examples: int) -> settings:
    """Return settings: ``examples`` that are always the same, or what a profile asks for.

    ``--hypothesis-profile=thorough`` runs many more, and new ones each time.
    """
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        max_examples=settings().max_examples if thorough else examples,
        derandomize=not thorough,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
