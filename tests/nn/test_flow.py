"""Flows undo themselves, WaveNets keep to their mask."""

import pytest
import torch

from core.nn.flow import CouplingFlow, ResidualFlow, TransformerFlow
from core.nn.wavenet import WaveNet


def _stir(module: torch.nn.Module) -> None:
    """Give every parameter a value away from its start, so that zero-initialised layers act."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def _flow(kind: str, shared: bool) -> CouplingFlow:
    if kind == "transformer":
        return TransformerFlow(8, 12, 10, 2, 2, 4, 4, shared=shared)
    return ResidualFlow(8, 12, 2, 4, depthwise=kind == "depthwise", shared=shared)


@pytest.mark.parametrize("kind", ["residual", "depthwise", "transformer"])
@pytest.mark.parametrize("shared", [False, True])
def test_reverse_undoes_forward(kind: str, shared: bool) -> None:
    torch.manual_seed(1)
    flow = _flow(kind, shared)
    x, mask, g = torch.randn(2, 8, 7), torch.ones(2, 1, 7), torch.randn(2, 4, 1)
    mask[1, :, 5:] = 0
    x = x * mask
    torch.testing.assert_close(flow(x, mask, g), x)  # four flips and no motion: a new flow is the identity
    _stir(flow)
    there = flow(x, mask, g)
    assert (there - x).abs().max() > 0.05
    torch.testing.assert_close(flow(there, mask, g, reverse=True), x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_a_shared_flow_has_one_set_of_weights_under_five_names(kind: str) -> None:
    flow = _flow(kind, shared=True)
    state = flow.state_dict()
    names = [name for name in state if name.endswith("cond_layer.weight_v")]
    assert names[-1] == "wn.cond_layer.weight_v"
    assert len(names) == 5
    assert len({state[name].data_ptr() for name in names}) == 1


def test_the_last_of_the_shared_names_wins_at_load() -> None:
    flow = ResidualFlow(8, 12, 1, 4, shared=True)
    state = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    state["wn.cond_layer.bias"] += 5.0
    flow.load_state_dict(state)
    torch.testing.assert_close(flow.wn.cond_layer.bias, state["wn.cond_layer.bias"])


def test_a_condition_may_change_over_time() -> None:
    net = WaveNet(6, 5, 3, gin_channels=4)
    x, mask, g = torch.randn(1, 6, 9), torch.ones(1, 1, 9), torch.randn(1, 4, 1)
    torch.testing.assert_close(net(x, mask, g), net(x, mask, g.expand(1, 4, 9)))
    assert net(x, mask * 0, g).abs().max() == 0


def test_a_transformer_flow_looks_back_only_and_hears_its_speaker() -> None:
    torch.manual_seed(2)
    flow = _flow("transformer", shared=False).eval()
    _stir(flow)
    x, mask, g = torch.randn(1, 8, 9), torch.ones(1, 1, 9), torch.randn(1, 4, 1)
    later = x.clone()
    later[..., 6:] += 1
    torch.testing.assert_close(flow(x, mask, g)[..., :6], flow(later, mask, g)[..., :6])
    assert (flow(x, mask, g) - flow(x, mask, g + 1)).abs().max() > 1e-3
