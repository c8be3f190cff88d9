"""The talk *Tools that learn* as one experiment: a stage for each row, each with the control that its claim needs.

``npi reproduce tools-that-learn`` runs it. The nouns: a :class:`~meta.talk.row.Row` is a claim and what measures it; a
:class:`~meta.talk.comparison.Comparison` is a score beside its control; the rows are in :mod:`meta.talk.rows`.
"""
