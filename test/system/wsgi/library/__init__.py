"""A Django project in one package: books, kept through the admin in SQLite, with a file of each."""
