"""The recipe: one YAML file that says what to train, checked strictly. Imports no Paddle.

Read ``load`` (sections and overrides), then ``explain`` and ``strict_yaml``.
"""
