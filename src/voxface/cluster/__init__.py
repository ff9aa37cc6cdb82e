"""Several machines: Ray clusters, connected to or started, so that nothing of them is said to anybody else.

* `ray_session`: a cluster that is connected to for as long as a context lasts, or is started for this machine alone
* `own_session`: what keeps a cluster that is started here to this machine
* `signals`: SIGTERM while Ray is connected
"""
