"""Figures that say how far samples are from real images. NumPy only, float64."""
