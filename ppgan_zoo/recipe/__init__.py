"""The recipe: one YAML file that says what to train, checked strictly. Imports no Paddle.

Read ``recipe`` (the whole), then its sections: ``game`` (nets, data, loss), ``training``
(optimizers, length, average) and ``watching`` (samples, checkpoints, metrics, trouble).
They are made of what ``base``, ``bounds`` and ``schedules`` hold. Then ``load`` (from file to
recipe), ``overrides`` (``-o``), ``explain`` (what is wrong, in one line) and ``strict_yaml``.
"""
