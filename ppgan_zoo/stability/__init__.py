"""How often a recipe begins to learn: the share of its seeds that succeed.

Read ``driver``, which trains the first phase of a recipe over many seeds, each in a process of
its own (``process``), and ``report``, which makes shares and intervals of what came out. Whether
a run has begun is told by :mod:`ppgan_zoo.training.first_phase`.
"""
