"""What ./test does not ask for when it holds the services against their OpenAPI documents."""

import schemathesis


@schemathesis.hook
def filter_query(context, query):
    """An empty parameter is as good as absent, as a form sends it; no schema of a number can say so."""
    return all(value not in ("", [], {}, None) for value in (query or {}).values())
