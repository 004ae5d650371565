"""What D and G play: objectives, penalties, how D sees images.

Read ``objectives``, ``penalties``, ``augmentation``, then ``constraints``.
"""
