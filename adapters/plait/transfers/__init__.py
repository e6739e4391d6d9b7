"""What takes several requests.  Ours, not aiohttp's names.

============  =============================
``events``    sources of server-sent events
``download``  downloads that can be resumed
============  =============================
"""
