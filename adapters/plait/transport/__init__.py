"""Where bytes are carried: what joins an engine to asyncio, and what stands on it.

============  =====================================================
``stream``    where asyncio's transports meet a driver
``driver``    asyncio's driver, and the exchanges of a connection
``exchange``  one stream of a connection
``body``      what the body of a message that comes in is read from
``waiter``    what a task waits on when it must go on at once
``sendfile``  a file that the kernel copies into a socket
``memory``    connections in memory
``pipes``     named pipes of Windows
============  =====================================================
"""
