"""Git: mirrors to deploy releases from, clones to deploy in place.

`repository` says whether two addresses mean the same, `remotes` how one is fetched from, `local` how git is
run so that it obeys no other configuration, `mirrors` and `clones` what is done with it.
"""
