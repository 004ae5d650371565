"""Comparing settings of recipes: several seeds each, within a budget of minutes.

:mod:`~ppgan_zoo.search.plan` reads the file that says what to compare,
:mod:`~ppgan_zoo.search.running` trains and measures, each run in processes of its own,
:mod:`~ppgan_zoo.search.summary` makes the table, and :mod:`~ppgan_zoo.search.pictures` the
plot and the samples. Only the last two steps of a search import Paddle.
"""
