"""Draw the figures of the guide that no other command makes: docs/images/guide."""

import argparse
import sys
from pathlib import Path

import _checkout  # noqa: F401

from ppgan_zoo import runtime

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images" / "guide"
SHOWN = ("non_saturating", "minimax", "least_squares", "hinge", "relativistic_pairing")
REAL = 2.0
"""D's logit of the real image that a relativistic objective compares with."""


def gradients_of_losses(path: Path) -> None:
    """Draw how hard each objective pushes a fake image towards 'real', over D's logit of it."""
    import numpy as np
    import paddle
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ppgan_zoo.game.objectives import LabelSmoothing, get_objective

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = np.linspace(-6, 6, 241, dtype=np.float32)[:, None]
    for name in SHOWN:
        fake = paddle.to_tensor(places, stop_gradient=False)
        real = paddle.full_like(fake, REAL)
        objective = get_objective(name)
        loss = objective.generator_loss(fake, real, LabelSmoothing())  # type: ignore[misc]
        (slope,) = paddle.grad(loss * len(places), [fake])
        axes.plot(places[:, 0], -slope.numpy()[:, 0], label=name)
    axes.axvspan(-6, -2, color="0.93")
    axes.text(-5.8, 2.45, "D is sure: fake", fontsize=9)
    axes.set(xlabel="D's logit of a fake image", ylabel="push towards a higher logit",
             xlim=(-6, 6), ylim=(-0.6, 2.7))  # fmt: skip
    axes.axhline(0, color="0.6", lw=0.8)
    axes.legend(loc="upper right", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> int:
    """Draw all of them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    runtime.start("cpu")
    gradients_of_losses(FOLDER / "loss_gradients.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
