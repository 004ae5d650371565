"""The leaderboard: every recipe for 28x28 images with the same budget, each run counted.

Read ``driver``, which calls the others: ``contest`` says who takes part, ``length`` for how many
iterations, ``record`` keeps that, :mod:`ppgan_zoo.search` trains and measures, ``board`` gathers
what came of it, from several machines too, ``publish`` puts into its folder what ``pictures`` draws
and ``page`` writes.
"""
