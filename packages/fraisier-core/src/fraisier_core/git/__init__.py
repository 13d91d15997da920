"""Git: mirrors to make releases from, clones to deploy in place.

`repository` says whether two addresses mean the same, `access` and `remotes` how one is reached, `local` how
git is run so that it obeys no other configuration. `downloads` and `fetched` bring a copy up to date,
`diagnosis` says what is wrong if that fails; `checkouts` writes the files of a commit. `trees`, `submodules`
and `filters` read what a commit says about them, and `boundaries` what it may not choose. `mirrors` and
`clones` put it all together.
"""
