"""A language server for program files: what an editor asks about a text, answered from the texts of its project.

``names.py`` text → declared and used names, whatever is being typed; ``project.py`` which declaration a name means,
across files; ``vocabulary.py`` the language's own words; ``answers.py``, ``completion.py`` the answers as plain data;
``server.py`` the protocol (the only file that needs pygls).
"""
