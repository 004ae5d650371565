"""The architectures: one paper, one file, which holds its nets and a ``SPEC``.

Read ``gan_mlp``, the shortest, then ``spec`` (what the zoo knows of an architecture), ``gan``
(the built nets and the one door to them) and ``latent`` (z and labels). Several models share
``layers``, ``labels``, ``fir`` (resampling), ``equalised`` (one learning speed for all layers)
and ``modulation`` (convolutions told by a style); ``nets`` and ``weights`` work on any net;
``facts`` rebuilds a model, ``restore`` a generator from a checkpoint, and ``cost`` says what a
model costs.
"""
