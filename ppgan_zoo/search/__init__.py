"""Comparing settings of recipes: several seeds each, within a budget of minutes.

Read ``driver``, which calls the others in this order: ``plan`` reads the file that says what
to compare, ``trials`` draws from its ranges (``space``), ``running`` trains and measures each
run in processes of its own (``conditions``, ``trainings``), ``results`` keeps what came of it,
``summary`` makes the table (``words``), ``pictures`` the plot and the samples. None imports Paddle
when it is imported.
"""

from ppgan_zoo.search.conditions import Conditions
from ppgan_zoo.search.driver import run_search
from ppgan_zoo.search.plan import load_search

__all__ = ["Conditions", "load_search", "run_search"]
