"""What ``plait.test_utils`` stands on and aiohttp has no name for."""
