"""What both sides' WebSockets share.

============  =====================================================
``exchange``  a WebSocket on the stream that carries it
``base``      the methods that programs call
``queues``    aiohttp's queues, for the programs that build on them
============  =====================================================
"""
