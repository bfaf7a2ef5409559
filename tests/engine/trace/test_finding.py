"""A finding as JSON and in a line."""

import json

from engine.trace import Finding


def test_a_finding_is_json_and_a_line() -> None:
    found = Finding(12, "forward", 1, "mlp.down", ("infinite weight: one entry", "other: no"),
                    "is not finite", ((3, 0.5), (11, float("inf"))), 3)
    values = found.values()
    assert {"step", "pass", "block", "tensor", "causes"} <= values.keys()
    assert (values["pass"], values["growth"]) == ("forward", [[3, 0.5], [11, None]])
    json.dumps(values, allow_nan=False)
    assert values["told"] == ("block 1 mlp.down is not finite, in the forward pass of step 12; "
                              "infinite weight: one entry")
    assert Finding(1, "update", None, "head", ("a: b",), "moves").place == "head"
