"""Weights from elsewhere: of PyTorch or Keras models, and of files that others saved.

Read ``converter``, which makes a checkpoint of a file, and ``feature_weights``, which makes the
weights of a feature network, then ``porting``, which knows how
frameworks store the same numbers, then ``trusted_pickle``, which starts the script
``untrusted_pickle``.
"""
