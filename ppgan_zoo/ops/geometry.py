"""The shape of one convolution."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """All that a plan depends on.

    Attributes:
        transposed: Whether it is a transposed convolution.
        source: Shape ``[N, C, H, W]`` of the input.
        weight: Shape of the weight as Paddle has it: ``[out, in, h, w]``, and
            ``[in, out, h, w]`` if transposed; the second is of one group.
        bias: Whether there is one.
        stride: Down and across.
        padding: Rows at the top and the bottom, columns at the left and the right; cut
            off the output if transposed.
        groups: Groups of channels, each of which is convolved on its own.
    """

    transposed: bool
    source: Shape
    weight: Shape
    bias: bool
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int = 1

    @property
    def target(self) -> Shape:
        """Shape of the output."""
        sides = []
        for axis in (0, 1):
            side, kernel, stride = self.source[2 + axis], self.weight[2 + axis], self.stride[axis]
            pad = self.padding[2 * axis] + self.padding[2 * axis + 1]
            if self.transposed:
                sides.append((side - 1) * stride - pad + kernel)
            else:
                sides.append((side + pad - kernel) // stride + 1)
        channels = self.groups * self.weight[1] if self.transposed else self.weight[0]
        return (self.source[0], channels, *sides)

    def reversed(self) -> Geometry:
        """Return the convolution that takes the output's gradient to the input's.

        Needs a geometry that leaves no row or column of the input unused.
        """
        return Geometry(
            not self.transposed,
            self.target,
            self.weight,
            False,
            self.stride,
            self.padding,
            self.groups,
        )
