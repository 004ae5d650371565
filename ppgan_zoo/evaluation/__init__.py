"""From a trained model to images and figures.

Read ``sampler``, then ``protocol``, ``real_images`` and ``evaluator``.
"""
