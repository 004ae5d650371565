"""From a trained model to images and figures; from an architecture to what it promises.

Read ``orders``, ``sampler`` and ``written`` (images as files), then ``protocol``,
``real_images`` and ``evaluator``; of architectures ``subject``, ``promises`` and ``conformance``.
"""
