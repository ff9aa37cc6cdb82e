"""Whole clips on several machines: `voxface serve --ray` hands them to replicas of a Ray Serve deployment.

Clients talk to the same server as ever, with the same guard and the same limits; nothing of Ray listens to them. A clip is a
pure function of its bytes, so one whose machine is lost is given to another replica, and is answered once.

* `replica`: what runs in a process of the cluster: networks, and a desk for clips
* `deployment`: the deployment for as long as a context lasts, as many replicas as there are clips for
* `remote_desk`: the server's desk, which hands clips over and tries again
* `remote_face`: a face as it comes back
"""
