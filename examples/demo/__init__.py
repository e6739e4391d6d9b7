"""The demo: a server and a client of plait that do everything once, and say how it went.

``python -m examples.demo`` starts the server (``server``) as a process of its own, cleartext
and TLS, puts it to work over every protocol (``workload``), prints a table (``report``), and
then serves a page for a browser until Ctrl-C.  ``--once`` ends after the table.
"""
