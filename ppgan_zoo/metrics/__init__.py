"""Figures that say how far samples are from real images: NumPy only, float64.

Read ``metric``, then any figure, such as ``frechet``; ``features`` and ``network`` hold the
feature networks.
"""
