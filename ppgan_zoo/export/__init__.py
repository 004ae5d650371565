"""From a generator to a static-graph model for Paddle Inference, proven equal.

Read ``exporter``, then ``exported``, ``predictor``, ``program``, ``rewrite``; for ONNX and other
formats, ``graph``, then ``operations``, ``translation``, ``onnx_export``.
"""
