"""A training run from beginning to end: the one place that turns a recipe into objects.

Read ``train``, then ``build``, ``watch`` and ``recovery``.
"""
