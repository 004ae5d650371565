"""What can be done with a trained G besides drawing z: ways, directions, a picture's own z.

Read ``space`` (z, or w of a G with styles), then ``interpolation``, ``directions`` and
``inversion``; ``readers`` finds the layers that the directions come from.
"""
