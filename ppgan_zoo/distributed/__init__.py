"""Several processes that train one model: who is which, what they exchange, how they start.

N processes compute what one computes on all the images. Each has its rows of every batch and of
every draw; what is of the whole batch (a batch norm's statistics, a mean of logits) is exchanged
during the step; the gradients are averaged before the optimizer uses them. Launcher and
collectives are Paddle's.

Read ``group``, then ``collectives`` and ``batch_norm``; ``launch`` with ``streams`` are
how ``ppgan-zoo train --processes`` starts them.
"""
