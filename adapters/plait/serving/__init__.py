"""What the server is made of, beside the modules that have aiohttp's names.

===================  ============================================================
``exchange``         a request and its response on their stream
``fields``           what a request says in its query and in some fields
``form``             the form that a request brings, read into fields
``spool``            files that are received: in memory, then on disk
``keyed_state``      state of the program on applications, requests and responses
``stream_response``  the response in pieces; what all responses have in common
``response_fields``  header fields of responses that have a type of their own
``cookies``          the cookies that a response sets
``compression``      the coding in which a response is sent
``framing``          the header fields that say how a response is framed
``response_writer``  what writes a response on its stream
``files``            regular files, opened for a response
``resource``         a place in the URL space, and its routes
``route``            a method and its handler
``domain``           rules that choose a sub-application
``static``           a resource with what is below a directory
``run``              ``run_app``
``error_page``       what a client is told of an error
``blame``            errors that are the client's fault
``hints``            types for the annotations of modules that cannot import them
``misuse``           errors of a program that uses the API wrongly
===================  ============================================================
"""
