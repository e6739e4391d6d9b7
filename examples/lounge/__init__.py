"""A lounge: rooms to talk in, files to share, over every protocol that plait speaks.

    python -m examples.lounge [PORT [CERTIFICATE KEY]]
    gunicorn examples.lounge.app:make_app --worker-class plait.worker.GunicornWebWorker --workers 4

It is what a small real program looks like:

====================  ==========================================================
``app``               the application: what is served where, and what lives in it
``accounts``          log-in by name and password, a signed cookie, who may do what
``rooms``             chat over WebSocket
``files``             uploads as they come, with their progress; downloads
``events``            what happens, as server-sent events
``bus``               what the worker processes tell each other
``pages/``            the page, its script and its style, served as static files
====================  ==========================================================

All data lies in one folder, ``$LOUNGE`` or ``lounge-data``.
"""
