"""Uses the packages that openapi-python-client makes of both documents."""

import sys

from auth import Client
from auth.api.sessions import log_in
from auth.models import LoginRequest, Tokens
from books import AuthenticatedClient
from books.api.books import list_books

auth_url, books_url = sys.argv[1:]
anonymous = Client(base_url=auth_url)
tokens = log_in.sync(client=anonymous, body=LoginRequest(username="anna", password="password123member"))
assert isinstance(tokens, Tokens), tokens
books = list_books.sync(client=AuthenticatedClient(base_url=books_url, token=tokens.access_token), limit=2)
assert isinstance(books, list), books
print(len(books), [book.title for book in books])
