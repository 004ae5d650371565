"""A training run from beginning to end: the one place that turns a recipe into objects.

Read ``train``, the course of a run; then ``job``, what it trains; ``build``, the parts of a
job; ``watch``, its callbacks; ``recovery``, what it does about NaN; ``follow``, the part of its
other processes; and ``evaluate``.
"""
