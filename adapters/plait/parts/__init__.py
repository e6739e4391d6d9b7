"""The parts of a multipart body; ``plait.multipart`` has the readers.

===========  ==================================
``content``  the content of a part, as a stream
``codings``  the codings of a part's content
``writer``   ``MultipartWriter``
===========  ==================================
"""
