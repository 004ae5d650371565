"""The commands of ``ppgan-zoo``, one a module; Paddle is imported when one runs."""
