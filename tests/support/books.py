"""After every story the books must add up: the production reconciler says whether they do."""

from apps.operations.services.reconcile import reconcile_run


def books_problems() -> list[str]:
    """Return every broken row that the reconciler finds, as text."""
    results = reconcile_run()
    broken = [f"{result.name}: {row}" for result in results for row in result.broken]
    return broken + [f"{result.name}: {result.failure}" for result in results if result.failure]
