"""How fast recipes train and exported models sample.

Read ``driver``, which starts processes, then ``process``, which measures in one.
"""
