"""Client middlewares that aiohttp has not.

=========  ===================================
``retry``  sends a request again after a pause
=========  ===================================
"""
