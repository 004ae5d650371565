"""What a recipe asks for and this run will not show: a line for each."""

from __future__ import annotations

from ppgan_zoo.data import ImageSet
from ppgan_zoo.recipe.recipe import Recipe

DEFAULT_WATCH = "health.every_steps"  # the one period that is set by default
MOST_NAMED = 5  # of classes, in a line


def classes_without_images(images: ImageSet) -> list[str]:
    """Return a line, if there are classes without an image, as ``data.limit`` may leave them."""
    assert images.labels is not None
    missing = sorted(set(range(images.num_classes)) - set(images.labels.tolist()))
    if not missing:
        return []
    names = [str(label) if images.classes is None else images.classes[label] for label in missing]
    more = ", ..." if len(names) > MOST_NAMED else ""
    return [
        f"data: {len(names)} of {images.num_classes} classes have no image: "
        f"{', '.join(names[:MOST_NAMED])}{more}; raise data.limit, or leave them out"
    ]


def periods_beyond_the_end(recipe: Recipe, iterations: int) -> list[str]:
    """Return a line for each key that says how often, and never comes in so few iterations.

    A key at its default counts as not set. Grids and checkpoints come at the end in any case.
    """
    periods = {
        "evaluation.every_steps": recipe.evaluation.every_steps,
        "log.histogram_every_steps": recipe.log.histogram_every_steps,
        "health.every_steps": recipe.health.every_steps,
    }
    default = type(recipe.health).model_fields["every_steps"].default
    return [
        f"{key}: {period} has no effect in the {iterations} iterations of this run; give less"
        for key, period in periods.items()
        if period is not None and period > iterations and (key, period) != (DEFAULT_WATCH, default)
    ]
