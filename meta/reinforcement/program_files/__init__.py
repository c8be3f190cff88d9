"""Program files of many priors and many rules."""
