"""What D and G play: the losses, and how D sees images.

Read ``game``, then what it is made of: ``objectives`` (the adversarial game), ``terms`` (all
else in a loss) with ``gradient_penalties``, ``consistency`` and ``lecam``, ``view`` with
``augmentation``, and ``schedules`` (numbers that change). ``compatibility`` says what makes no
sense together, ``teaching`` what would learn from nothing.
"""
