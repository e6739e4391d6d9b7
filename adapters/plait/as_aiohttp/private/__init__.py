"""Modules of aiohttp that plait has no use for, and other libraries import.

This folder is the ``__path__`` of the package ``aiohttp`` that ``finder`` makes: a module in it is
``aiohttp.NAME`` to the program, and nothing in plait.
"""
