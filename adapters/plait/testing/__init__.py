"""What ``plait.test_utils`` stands on and aiohttp has no name for.

============  ================================================
``lifetime``  ``async with`` for what a test starts and closes
``mocked``    a request that no client has sent
============  ================================================
"""
