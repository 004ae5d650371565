"""From a generator to a static-graph model for Paddle Inference, proven equal.

Read ``exporter``, then ``exported``, ``predictor``, ``program``, ``rewrite``.
"""
