"""A language server for program files: what an editor asks about a text, answered from the texts of its project.

``recover.py`` text → parse tree, whatever is being typed; ``names.py`` tree → declared and used names; ``project.py``
which declaration a name means, across files; ``words.py`` the language's own words; ``answers.py`` and ``complete.py``
the answers as plain data; ``server.py`` the protocol (the only file that needs pygls).
"""
