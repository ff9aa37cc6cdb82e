"""Several machines: `voxface serve --ray` hands whole clips, and live sessions if asked to, to replicas on a Ray cluster.

Clients talk to the same server as ever, with the same guard and the same limits; nothing of Ray listens to them. A clip is a
pure function of its bytes, so one whose machine is lost is given to another replica, and is answered once. A live session has
state; one whose machine is lost goes on elsewhere with its newest sound, and its client is told.

* `replica`: what runs in a process of the cluster for clips: networks, and a desk for clips
* `deployment`: the deployment for as long as a context lasts, as many replicas as there are clips for
* `remote_desk`: the server's desk, which hands clips over and tries again
* `remote_face`: a face as it comes back
* `live_replica`: what runs in a process of the cluster for live sessions: networks and a lane
* `live_actor`: such a process as the server calls it
* `live_cluster`: such processes for as long as a context lasts
* `live_messages`: what the two say to each other
* `replica_link`: how the server talks to one of them
* `remote_stream`: a live session on a replica, as the server has it
* `cluster_host`: the server's replicas for live sessions: how many, which session is where, and what is lost
"""
