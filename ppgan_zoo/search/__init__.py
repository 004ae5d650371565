"""Comparing settings of recipes: several seeds each, within a budget of minutes.

:mod:`~ppgan_zoo.search.plan` reads the file that says what to compare,
:mod:`~ppgan_zoo.search.running` trains and measures each run in processes of its own,
:mod:`~ppgan_zoo.search.results` keeps what came of it, :mod:`~ppgan_zoo.search.summary`
makes the table, :mod:`~ppgan_zoo.search.pictures` the plot and the samples, and
:mod:`~ppgan_zoo.search.driver` calls them in this order. None imports Paddle when it is
imported.
"""

from ppgan_zoo.search.driver import run_search
from ppgan_zoo.search.plan import load_search
from ppgan_zoo.search.running import Conditions

__all__ = ["Conditions", "load_search", "run_search"]
