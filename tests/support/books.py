"""After every story the books must add up: the production reconciler says whether they do."""

from apps.operations.services.reconcile import reconcile_run


def books_problems() -> list[str]:
    """Return every broken row that the reconciler finds, as text."""
    return [f"{result.name}: {row}" for result in reconcile_run() for row in result.broken]
