"""Pictures of any kind become a prepared set: a file to be mapped, its manifest, and a sheet.

Read ``prepare``, then ``source`` and the kinds of source beside it (``pictures_folder``,
``zip_archive``, ``tar_archive``, ``csv_pixels``, ``arrays``, ``idx_files``), then ``partial``
and ``pool``.
"""
