"""Stable MESSAGE_IDs of what the daemon tells the journal, so that a program can wait for one kind of them.

    journalctl -t memwatchd MESSAGE_ID=e3dfd1b598074877a8c8ed98b3d636eb     kills by the kernel
    journalctl -x -t memwatchd      with what is to be done about each

The texts to go with them are in ``systemd/memwatchd.catalog``. An id never changes its meaning; what is told
newly gets a new one.
"""

# What a line is about, which is also its field MEMWATCHD_EVENT, and its MESSAGE_ID.
MESSAGE_IDS = {
    "kernel_kill": "e3dfd1b598074877a8c8ed98b3d636eb",
    "incident": "3801975c3b1d45e4898b94003d399477",
    "incident_complete": "01c1419f7c3046cc909ad5be2a1dddfd",
    "incident_removed": "9f52f878e7964ca6a4c75c18a9af3198",
    "incident_trouble": "6066d3db0a5942cc92488c369aeac667",
    "last_run_died": "f157dd682d7e4ac8b2f1ef71ead0471a",
    "rule_fired": "005baf89192e4a4fbae986f5b18aedd9",
    "rule_held": "4076b38d86094b43b8e799cae03b2a56",
    "rule_over": "115d69f16c4e4b49a85e1677b3829d08",
    "action": "5682b1629cb3417588ec105cab94ab54",
    "put_back": "ad02b7f38340480589c19a1a7faed700",
    "not_put_back": "ba0c4cb597424610b2580017d4893f65",
    "degraded": "59c161491c2e42068207f006d4a4e0d7",
    "sampling": "f6562a3c08f541ccac64299e12aa6306",
    "sampler_died": "733852aecac64112a95452d96c2c29b3",
    "reloaded": "448dadb8041f40afb967057541964e29",
    "reload_refused": "a8465a19f48b467e9061fe79abd2f778",
    "notify": "52be12a2d41845fdb05629082f5b80f8",
}
