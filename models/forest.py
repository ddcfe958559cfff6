"""Boosted decision trees, fitted by LightGBM and served as one ONNX graph.

Source: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from lightgbm import Booster as Booster
from lightgbm import Dataset
from lightgbm import train as boost
from numpy.typing import NDArray
from onnx import TensorProto, helper

Floats = NDArray[np.float32]

OPSET, OPSET_TREES, IR_VERSION = 17, 3, 8


def fit(
    rows: Floats,
    target: NDArray[Any],
    weights: NDArray[Any],
    trees: int,
    settings: Mapping[str, Any],
    seed: int,
) -> Booster:
    """Fit trees to rows [N, columns] and a target of 0 and 1 [N].

    Args:
        weights: of the rows [N].
        settings: `leaves`, `learning_rate`, `least_rows` in a leaf, `share_of_columns` and
            `share_of_rows` for each tree, `ridge`, `bins`, `threads`.
    """
    parameters = {
        "objective": "binary",
        "learning_rate": settings["learning_rate"],
        "num_leaves": settings["leaves"],
        "min_data_in_leaf": settings["least_rows"],
        "feature_fraction": settings["share_of_columns"],
        "bagging_fraction": settings["share_of_rows"],
        "bagging_freq": 1,
        "lambda_l2": settings["ridge"],
        "max_bin": settings["bins"],
        "seed": seed,
        "verbosity": -1,
        "num_threads": settings["threads"],
        "deterministic": True,
        "force_col_wise": True,  # trees that ask for a share of the columns read only those
    }
    data = Dataset(rows, target, weight=weights, params=parameters)
    return boost(parameters, data, trees)


def fit_forest(
    rows: Floats,
    target: NDArray[Any],
    settings: Mapping[str, Any],
    weights: NDArray[Any] | None = None,
) -> list[Booster]:
    """Make several fits to be averaged; `settings` also has `trees`, `seed` and `seeds`."""
    weights = np.ones(len(rows)) if weights is None else weights
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    return [fit(rows, target, weights, settings["trees"], settings, seed) for seed in seeds]


def predict(boosters: Sequence[Booster], rows: Floats) -> Floats:
    """Return the mean probability of several fits [N]."""
    return np.mean([booster.predict(rows) for booster in boosters], axis=0).astype(np.float32)


def graph(boosters: Sequence[Booster], columns: int) -> onnx.ModelProto:
    """Return the graph `rows` [N, columns] -> `probabilities` [N], the mean of several fits."""
    nodes: dict[str, list[Any]] = {name: [] for name in NODE_ATTRIBUTES}
    leaves: dict[str, list[Any]] = {name: [] for name in LEAF_ATTRIBUTES}
    trees = 0
    for number, booster in enumerate(boosters):
        for info in booster.dump_model()["tree_info"]:
            _add(info["tree_structure"], trees, number, nodes, leaves)
            trees += 1
    about = {"n_targets": len(boosters), "aggregate_function": "SUM", "post_transform": "NONE"}
    about |= {"domain": "ai.onnx.ml", **nodes, **leaves}
    steps = [
        helper.make_node("TreeEnsembleRegressor", ["rows"], ["sums"], **about),
        helper.make_node("Sigmoid", ["sums"], ["each"]),
        helper.make_node("ReduceMean", ["each"], ["probabilities"], axes=[1], keepdims=0),
    ]
    given = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["candidates", columns])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["candidates"])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_TREES)]
    model = helper.make_model(
        helper.make_graph(steps, "forest", [given], [result]),
        opset_imports=opsets,
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


NODE_ATTRIBUTES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
)
LEAF_ATTRIBUTES = ("target_treeids", "target_nodeids", "target_ids", "target_weights")


def _add(
    root: dict[str, Any],
    tree: int,
    target: int,
    nodes: dict[str, list[Any]],
    leaves: dict[str, list[Any]],
) -> None:
    """Append one tree of LightGBM to the attributes of the operator."""
    begin = len(nodes["nodes_treeids"])

    def visit(node: dict[str, Any]) -> int:
        number = len(nodes["nodes_treeids"]) - begin
        for values in nodes.values():
            values.append(0)
        index = begin + number
        row: tuple[Any, ...]
        if "split_feature" in node:
            if node["decision_type"] != "<=":
                raise ValueError(f"a split by {node['decision_type']!r} is not supported")
            value = largest_float_at_most(node["threshold"])
            children = visit(node["left_child"]), visit(node["right_child"])
            row = (tree, number, node["split_feature"], value, "BRANCH_LEQ", *children)
        else:
            row = (tree, number, 0, 0.0, "LEAF", 0, 0)
            weight = tree, number, target, float(node["leaf_value"])
            for name, item in zip(LEAF_ATTRIBUTES, weight, strict=True):
                leaves[name].append(item)
        for name, item in zip(NODE_ATTRIBUTES, row, strict=True):
            nodes[name][index] = item
        return number

    visit(root)


def largest_float_at_most(value: float) -> float:
    """Return the largest float32 that is not above a double.

    LightGBM compares doubles and the graph floats. This makes `x <= value` equal for every
    float32 x.
    """
    near = np.float32(value)
    return float(np.nextafter(near, np.float32(-np.inf))) if float(near) > value else float(near)
