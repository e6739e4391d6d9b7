"""The processes under test.  Each module is run as a program of its own.

plait has aiohttp's API, so the server and the client are one program each, which is told
whose library to import.
"""
