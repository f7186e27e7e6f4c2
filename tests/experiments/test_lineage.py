"""The tree: where nodes stand, what an arm is, and what the address opens."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from experiments import lifecycle
from experiments.lineage import layout
from experiments.lineage.address import view
from experiments.lineage.nodes import clipped
from experiments.lineage.tree import DEEPEST, SIBLINGS, Lineage
from experiments.models import Experiment

pytestmark = pytest.mark.differs_on_servers("kin is found by queries over parents, and arms by params that are JSON")
TREE = {"a": ["b", "c"], "b": ["d"], "c": []}


def test_a_first_child_stands_in_its_parents_row_and_others_below():
    spots = layout.lay_out(TREE, ["a", "z"], is_open=set("ab"), siblings=9, most=9, deepest=9)
    assert [(spot.key, spot.column, spot.row) for spot in spots] == [("a", 0, 0), ("b", 1, 0), ("d", 2, 0), ("c", 1, 1), ("z", 0, 2)]


def test_no_two_nodes_share_a_place():
    children = {str(i): [str(i * 3 + k) for k in (1, 2, 3) if i * 3 + k < 500] for i in range(500)}
    spots = layout.lay_out(children, ["0"], is_open=set(children), siblings=9, most=999, deepest=99)
    assert len({(spot.column, spot.row) for spot in spots}) == len(spots) == 500


def test_a_closed_node_counts_what_it_hides():
    spots = layout.lay_out(TREE, ["a"], is_open=set(), siblings=9, most=9, deepest=9)
    assert [(spot.key, spot.folded) for spot in spots] == [("a", 3)]


def test_children_beyond_the_room_are_one_spot():
    spots = layout.lay_out({"a": list("bcdef")}, ["a"], is_open={"a"}, siblings=2, most=9, deepest=9)
    assert [(spot.key, spot.rest, spot.row) for spot in spots] == [("a", 0, 0), ("b", 0, 0), ("c", 0, 1), ("a", 3, 2)]


def test_a_chain_of_twenty_thousand_is_laid_out_without_recursion():
    children = {str(i): [str(i + 1)] for i in range(20_000)}
    spots = layout.lay_out(children, ["0"], is_open=set(children), siblings=9, most=30_000, deepest=30_000)
    assert (len(spots), spots[-1].column, spots[-1].row) == (20_001, 20_000, 0)


@pytest.mark.parametrize(
    ("parents", "cut"),
    [
        ({"a": "b", "b": "a"}, {"a": None, "b": "a"}),
        ({"a": "a"}, {"a": None}),
        ({"x": "a", "a": "b", "b": "a"}, {"x": "a", "a": None, "b": "a"}),
        ({"a": "gone"}, {"a": None}),
        ({"a": None, "b": "a"}, {"a": None, "b": "a"}),
    ],
)
def test_a_cycle_is_cut_once(parents, cut):
    assert layout.without_cycles(parents) == cut


def test_lists_close_where_the_tree_climbs():
    assert layout.closing([0, 1, 2, 1, 0]) == [0, 0, 1, 1, 0]


def test_wide_letters_take_two_cells():
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("深度学习", 4) == "深…"
    assert clipped("abcd", 4) == "abcd"


def make(project, name, parent=None, **fields):
    return lifecycle.create(project, by=None, name=name, parent=parent, **fields)


def lineage(project, query=""):
    return Lineage(project, view(QueryDict(query)))


def test_replicates_of_replicated_parents_are_one_arm_below_one_arm(project):
    for seed in (1, 2):
        base = make(project, f"base-s{seed}", params={"lr": 1}, seed=seed)
        make(project, f"slow-s{seed}", base, params={"lr": 2}, seed=seed)
    tree = lineage(project)
    assert [(node.arm.name, node.spot.column, len(node.arm.runs), node.edge.strip("\u2068\u2069")) for node in tree.nodes] == [
        ("base", 0, 2, "same"),
        ("slow", 1, 2, "lr 1→2"),
    ]
    assert tree.root_count == 1


def test_several_changes_at_once_are_confounded(project):
    base = make(project, "base", params={"lr": 1, "depth": 2})
    make(project, "both", base, params={"lr": 2, "depth": 3})
    node = lineage(project).nodes[1]
    assert node.is_confounded
    assert node.full_edge == "2 changes at once, confounded: depth 2→3; lr 1→2"


def test_a_group_whose_members_descend_from_each_other_ends(project):
    first = make(project, "one", replicate_group="g1")
    second = make(project, "two", first, replicate_group="g2")
    make(project, "three", second, replicate_group="g1")
    assert [node.arm.name for node in lineage(project).nodes] == ["g1", "g2"]


def test_what_is_archived_stays_where_something_current_came_from_it(project):
    base = make(project, "base")
    make(project, "kept", base, params={"a": 1})
    gone = make(project, "gone", base, params={"a": 2})
    for run in (base, gone):
        lifecycle.archive(run, by=None)
    assert [(node.arm.name, node.arm.is_archived) for node in lineage(project).nodes] == [("base", True), ("kept", False)]


def chain(project, length):
    rows, above = [], None
    for i in range(length):
        row = Experiment(project=project, name=f"n{i}", slug=f"n{i}", replicate_key=f"k{i}", parent_experiment=above)
        rows.append(row)
        above = row
    Experiment.objects.bulk_create(rows)


def test_a_deep_chain_is_folded_and_every_node_of_it_can_be_reached(project):
    chain(project, 60)
    tree = lineage(project)
    assert len(tree.nodes) == DEEPEST + 1
    assert tree.nodes[-1].spot.folded == 60 - DEEPEST - 1
    further = lineage(project, tree.nodes[-1].fold_link[1:])
    assert [node.arm.name for node in further.nodes][:2] == [f"n{DEEPEST}", f"n{DEEPEST + 1}"]
    assert "n59" in [node.arm.name for node in lineage(project, "from=n59").nodes]


def test_the_children_of_a_wide_node_come_in_turns(project):
    base = make(project, "base")
    Experiment.objects.bulk_create(
        [Experiment(project=project, name=f"c{i}", slug=f"c{i}", replicate_key=f"k{i}", parent_experiment=base) for i in range(SIBLINGS + 5)]
    )
    tree = lineage(project)
    assert len(tree.nodes) == SIBLINGS + 1
    seen = {node.arm.name for node in tree.nodes} | {node.arm.name for node in lineage(project, tree.rests[0].link[1:]).nodes}
    assert len(seen) == SIBLINGS + 6


def test_a_branch_folds_and_unfolds_by_the_address(project):
    base = make(project, "base")
    make(project, "child", base, params={"a": 1})
    folded = lineage(project, lineage(project).nodes[0].fold_link[1:])
    assert [(node.arm.name, node.spot.folded) for node in folded.nodes] == [("base", 1)]
    assert len(lineage(project, folded.nodes[0].fold_link[1:]).nodes) == 2
