"""The architectures: one paper, one file, which holds two layers and a ``SPEC``."""
