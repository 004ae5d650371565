"""Pretrained models: their weights, their names, and the card that says what they are.

Read ``pretrained`` (from a name to a folder), then ``card`` (what a card says) and ``shipped``
(the models that come with the package, and their hashes).
"""
