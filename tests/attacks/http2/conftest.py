"""The raw peers of the HTTP/2 tests."""

from tests.engine.http2.conftest import chop as chop
from tests.engine.http2.conftest import client as client
from tests.engine.http2.conftest import open_peer as open_peer
from tests.engine.http2.conftest import server as server
