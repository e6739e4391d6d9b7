#!/bin/sh
# Fetches the source of the libraries that ship a suite of their own, in the installed version.
#
#   fetch-suites.sh ENVIRONMENT    # into ENVIRONMENT/suites
set -eu
python=$1/bin/python
for library in aiohttp-cors aiohttp-jinja2 aiohttp-security aiohttp-session aioresponses gql aiohttp-sse; do
    version=$("$python" -c "import importlib.metadata as m; print(m.version('$library'))")
    folder=$1/suites/$library
    test -d "$folder/tests" && continue
    rm -rf "$folder"
    mkdir -p "$folder"
    "$python" -m pip download --quiet --no-deps --no-binary :all: --dest "$folder" "$library==$version"
    tar --extract --strip-components 1 --directory "$folder" --file "$folder"/*.tar.gz
done
