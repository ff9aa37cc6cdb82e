"""The synthetic world: speakers and voices made from known anatomy, so that every cause behind a sound is known."""
