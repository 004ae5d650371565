"""What watches training, and what is saved on the way.

Read ``samples``, the plainest, then ``checkpoints``; each of the others stands alone. What a
callback is, says :mod:`ppgan_zoo.training.loop`.
"""
