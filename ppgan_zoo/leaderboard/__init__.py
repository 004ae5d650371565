"""The leaderboard: every recipe for 28x28 images with the same budget, each run counted.

Read ``driver``, which calls the others: ``contest`` says who takes part and for how many
iterations, ``length`` fits a recipe to a budget, :mod:`ppgan_zoo.search` trains and measures,
``board`` gathers what came of it, from several machines too, and ``page`` writes it down.
"""
