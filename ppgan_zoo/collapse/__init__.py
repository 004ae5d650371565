"""The collapse suite: does a setting find every mode of data whose modes are known?

Read ``setting``, then the data, ``mixtures`` and ``stacked_mnist``; ``modes`` counts,
``recipes`` holds the settings to begin with, and ``report`` makes table and picture.
"""
