"""A run, or several side by side, as one HTML page that needs nothing else.

Read ``facts`` (what is read of a run), then ``neighbours``, ``charts`` and ``page``.
"""
