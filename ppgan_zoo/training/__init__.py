"""How a GAN is trained, given its nets as objects: no recipe, no files.

Read ``trainer``, then ``optimizers`` and ``signals``.
"""
