"""The parts of a multipart body: their content as streams, and their codings.

``plait.multipart`` has the readers and the writer.
"""
