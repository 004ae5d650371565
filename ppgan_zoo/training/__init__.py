"""How a GAN is trained, given its nets as objects: no recipe, no files.

Read ``trainer``, then ``update``, ``chance`` (all that is random), ``ema`` and ``loop``.
``assemble`` puts a trainer together; ``optimizers`` makes what an update steps with;
``signals`` takes the figures that show trouble.
"""
