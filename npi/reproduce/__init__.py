"""The results of Neural Programmer-Interpreters (Reed & de Freitas 2016, section 4), made again.

``npi reproduce npi-paper`` runs it. The nouns: a :class:`~npi.reproduce.recipe.Recipe` is every setting; a
:class:`~npi.reproduce.ledger.Stage` is a piece of work whose result is one file; a
:class:`~npi.reproduce.report.Report` is what the finished stages of a folder come to.
"""
