"""People's own recordings and photographs as pairs to train on.

| module | what it does |
|---|---|
| `listing` | who is in two folders: recordings by speaker, photographs by person, and a table that joins them |
| `splits` | who is learnt from, chosen by and measured on |
| `photographs` | photographs -> aligned pictures with landmarks |
| `person` | one person's files -> frames, pictures, a fitted face, and what was rejected |
| `kept_people` | results of people who are done, so that a run that was killed goes on |
| `preparation` | all people -> a folder of pairs |
"""
