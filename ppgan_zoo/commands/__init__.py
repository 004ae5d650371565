"""The commands of ``ppgan-zoo``, one a module; Paddle is imported when one runs.

Read ``sample``, then ``arguments``, which several commands share.
"""
