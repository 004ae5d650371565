"""What is on disk: files written whole or not at all, the run directory and what is in it.

``terminal``, through which all that is printed goes, stands here too, and so does ``stages``, how
far long work is: logs go the same way.

Read ``files``, ``run_directory``, then ``checkpoint`` (the format) and ``retention`` (which
of a run's checkpoints stay); then ``run_log``, ``logs`` (what a kind of log is) with
``visualdl_log`` and ``visualdl_reader``, and ``pictures``. ``tolerance`` lets training go on
where one of these cannot be written, ``journal`` lets the making of a set of pictures go on after
a stop, and ``pickles`` refuses weights that are programs.
"""
