"""Makes torch_network.onnx and torch_network.json: a PyTorch network of tests/plain_tables.py, and its own outputs.

Run it with torch and onnxscript installed (neither is a package of this project):
PYTHONPATH=tests:src python tests/data/make_torch_network.py
"""

import json
from pathlib import Path

import onnx
import plain_tables
import torch

FOLDER = Path(__file__).parent
COLUMNS = ["size", "flag"]


class Network(torch.nn.Module):
    """Log odds of the class yes; a missing number counts as its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
        self.register_buffer("mean", torch.tensor([50.0, 0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        known = torch.where(torch.isnan(x), self.mean, x)
        return self.layers((known - self.mean) / torch.tensor([10.0, 0.5]))


torch.manual_seed(3)
rows = plain_tables.rows("binary", 2000)
x = torch.tensor(rows[COLUMNS].to_numpy(), dtype=torch.float32)
y = torch.tensor((rows["price"] == "yes").to_numpy(), dtype=torch.float32)[:, None]
network = Network()
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(network(x), y).backward()
    optimizer.step()
network.eval()
given = x[:8].clone()
given[3, 0] = torch.nan
torch.onnx.export(
    network, (given,), str(FOLDER / "torch_network.onnx"), dynamic_shapes={"x": {0: torch.export.Dim("rows")}},
    dynamo=True, external_data=False,
)  # fmt: skip
record = {"torch": torch.__version__, "x": given.tolist(), "logits": network(given)[:, 0].tolist()}
# The exporter writes the paths of its source files beside each node.
exported = onnx.load(FOLDER / "torch_network.onnx")
graph = exported.graph
for part in (exported, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
    del part.metadata_props[:]
    part.doc_string = ""
onnx.save(exported, FOLDER / "torch_network.onnx")
(FOLDER / "torch_network.json").write_text(json.dumps(record).replace("NaN", "null") + "\n")
