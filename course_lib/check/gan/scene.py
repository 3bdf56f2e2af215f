"""What exercises 3.2 and 3.3 are played on: two small networks, an optimizer that takes notes, and inputs."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from course_lib.check.core import Answer, Value
from course_lib.check.watching import WatchedSGD
from course_lib.check.watching import weights as weights_of

Player = Literal["G", "D"]


class _Logit(nn.Sequential):
    """D: x (B, 3) -> logits (B,)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze(1)


class Scene(NamedTuple):
    """One step of one player, about to be made."""

    G: nn.Module
    D: nn.Module
    trained: Player
    optimizer: WatchedSGD  # of the player that is trained
    inputs: tuple[Tensor, ...]  # x (B, 3) and z (B, 2), or z alone


class Watched(NamedTuple):
    """What became of it."""

    returned: Value
    change: Tensor  # of the weights of the player that is trained, one vector
    other_change: Tensor  # the same for the other player
    other_has_gradient: bool
    frozen: tuple[str, ...]  # the players with weights that can no longer be trained
    modes_kept: bool
    log: list[str]
    inputs_kept: bool


def scene(trained: Player, generator: torch.Generator, *, leftovers: bool = False) -> Scene:
    """Random weights; `leftovers`: the player who is trained still has gradients of the other's last step."""
    G = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
    D = _Logit(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    for p in [*G.parameters(), *D.parameters()]:
        p.data = torch.randn(p.shape, generator=generator)
    player = G if trained == "G" else D
    if leftovers:
        for p in player.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
    rows = int(torch.randint(4, 8, (), generator=generator))
    x, z = torch.randn(rows, 3, generator=generator) + 1, torch.randn(rows, 2, generator=generator)
    return Scene(G, D, trained, WatchedSGD(player, lr=0.5), (z,) if trained == "G" else (x, z))


def watch(answer: Answer, scene: Scene) -> Watched:
    """Call the answer once."""
    player, other = (scene.G, scene.D) if scene.trained == "G" else (scene.D, scene.G)
    before, other_before = weights_of(player), weights_of(other)
    given = [x.clone() for x in scene.inputs]
    returned = answer(scene.G, scene.D, scene.optimizer, *scene.inputs)
    nets = {"G": scene.G, "D": scene.D}
    return Watched(
        returned,
        weights_of(player) - before,
        weights_of(other) - other_before,
        any(p.grad is not None and bool(p.grad.any()) for p in other.parameters()),
        tuple(name for name, net in nets.items() if not all(p.requires_grad for p in net.parameters())),
        all(net.training for net in nets.values()),
        scene.optimizer.log,
        all(torch.equal(a, b) for a, b in zip(given, scene.inputs, strict=True)),
    )
