"""Models of one's own in ``edged dev``: from a file to an answer, without keys, repository or signature.

The supervising process hands a copy of the file to a process that has no privileges (``building``), which makes a bundle of it and puts
that into the store of the directory. What names it to the daemon is a document of the directory (``document``), which the daemon of a
developer reads beside the fleet's (``daemon``, ``orders``). From there on everything is as on a device: the files are hashed, the
validation kit is run in a disposable worker, and the version goes through the two slots of its model.
"""
