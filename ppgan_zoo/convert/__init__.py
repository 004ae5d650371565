"""Weights from elsewhere.

Read ``converter``, then ``porting``.
"""
