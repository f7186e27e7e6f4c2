import pytest, time
@pytest.mark.urls('tmpurls')
def test_it_goes(experiment, log, store):
    from metrics.repository import Place
    log(experiment, {"loss":[1.0,"NaN",0.5], "acc":[None, 0.5, 0.75]})
    log(experiment, {"loss":[0.25]}, steps=[3])
    p=Place(experiment.project.team_id, experiment.project_id)
    s=store.repository.summaries(p); print(s); print(store.repository.recomputed(p))
    assert s==store.repository.recomputed(p)
    print(store.repository.grid(p,[experiment.pk],"loss",__import__("metrics.repository").repository.Window("relative",0,10**9),width=1))
    experiment.refresh_from_db(); assert experiment.last_point_at
    assert experiment.project.metrics.count()==2
    from django.test import Client
    print(store.drain.dead_count())
