"""The samplers beside those of the diffusers library: one fixed network, one x_T, the same random numbers.

What has to be known to compare the two. Their times count from 0, so that their t is our t + 1, and their
last step goes to a time before 0. Their "trailing" spacing is our even one where the steps divide T. Their
Euler and Heun work on z = x / sqrt(alpha_bar), and ask for x themselves (`scale_model_input`). Their DDIM
keeps eps as the network gave it where x_0 was clipped, ours asks which eps fits the clipped x_0: that is
their `use_clipped_model_output`. Their tables are float32, ours are float64.
"""

import importlib.util

import pytest
import torch

from course_lib.nn.unet import UNet
from course_lib.samplers import ddim, ddpm, euler, heun
from course_lib.schedules import alpha_bars, cosine_betas, eps_from_v, linear_betas, posterior_variance

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("diffusers") is None,
    reason="NOT COMPARED WITH DIFFUSERS: it is not installed (pip install diffusers)",
)
TABLES = {"linear": alpha_bars(linear_betas()), "squaredcos_cap_v2": alpha_bars(cosine_betas())}
LINEAR = TABLES["linear"]
every_table = pytest.mark.parametrize("schedule", TABLES)
any_clip = pytest.mark.parametrize("clip", [True, False], ids=["clipped", "free"])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def net():
    """A tiny U-Net whose weights are all alive: as made, its last layers are 0."""
    made, numbers = UNet(1, widths=(8, 16), blocks=1, embed=16), seeded(0)
    for weight in made.parameters():
        shape = weight.shape
        weight.data = torch.randn(shape, generator=numbers) / max(shape[1:].numel(), 1) ** 0.5
    return made.requires_grad_(False).eval()


@pytest.fixture
def x():
    return torch.randn(4, 1, 8, 8, generator=seeded(1))


def end(steps):
    *_, last = steps
    return last.x


def theirs(name, schedule="linear", **config):
    import diffusers  # seconds: not where tests are only collected

    betas = dict(beta_start=1e-4, beta_end=0.02, beta_schedule=schedule)
    return getattr(diffusers, name)(num_train_timesteps=1000, timestep_spacing="trailing", **betas, **config)


class Asked:
    """`eps(x, t)` of a network that says v, so that no guess of x_0 grows too large; it notes the times."""

    def __init__(self, net, table):
        self.net, self.table, self.times = net, table, []

    def __call__(self, x, t):
        self.times.append(int(t[0]))
        return eps_from_v(x, self.net(x, t), self.table[t])


def run(scheduler, eps, x, steps, **options):
    """Their loop, as in their pipelines; `x` in the scheduler's own scale."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        noise = eps(scheduler.scale_model_input(x, t), torch.full((len(x),), int(t) + 1))
        x = scheduler.step(noise, t, x, **options).prev_sample
    return x


def assert_alike(net, table, one, other):
    """`one` and `other` sample with the `eps` they are given: the same end, from the same questions."""
    first, second = Asked(net, table), Asked(net, table)
    x, expected = one(first), other(second)
    assert torch.allclose(x, expected, rtol=0, atol=1e-4)
    assert first.times == second.times
    assert 0.3 < x.std() < 3  # neither vanished nor blown up, so 1e-4 means something


def test_the_network_is_a_fair_judge(net, x):
    """Its answer feels both the picture and the time."""
    first, middle, nearby = (net(y, torch.full((4,), t)) for y, t in ((x, 1), (x, 500), (0.9 * x, 1)))
    assert (first - middle).std() > 0.1
    assert (first - nearby).std() > 0.01


@every_table
def test_posterior_variances(schedule):
    scheduler, table = theirs("DDPMScheduler", schedule), TABLES[schedule]
    for t in (2, 3, 10, 100, 488, 700, 999, 1000):
        found = posterior_variance(table[t], table[t - 1]).item()
        assert found == pytest.approx(scheduler._get_variance(t - 1).item(), rel=2e-3)


@any_clip
@every_table
def test_ddpm(net, x, schedule, clip):
    scheduler = theirs("DDPMScheduler", schedule, clip_sample=clip, variance_type="fixed_small")
    table, options = TABLES[schedule], dict(steps=50, clip=clip)
    assert_alike(
        net,
        table,
        lambda eps: end(ddpm(eps, x, table, generator=seeded(2), **options)),
        lambda eps: run(scheduler, eps, x, 50, generator=seeded(2)),
    )


@any_clip
@every_table
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim(net, x, schedule, eta, clip):
    scheduler = theirs("DDIMScheduler", schedule, clip_sample=clip)
    table, options = TABLES[schedule], dict(steps=20, clip=clip)
    again = dict(use_clipped_model_output=True)
    assert_alike(
        net,
        table,
        lambda eps: end(ddim(eps, x, table, eta=eta, generator=seeded(3), **options)),
        lambda eps: run(scheduler, eps, x, 20, eta=eta, generator=seeded(3), **again),
    )


@pytest.mark.parametrize(
    ("sampler", "name"), [(euler, "EulerDiscreteScheduler"), (heun, "HeunDiscreteScheduler")]
)
def test_euler_and_heun(net, x, sampler, name):
    """On the linear schedule: in their scale the cosine one's x_T is 20,000, too much for float32."""
    scheduler = theirs(name)
    assert_alike(
        net,
        LINEAR,
        lambda eps: end(sampler(eps, x, LINEAR, steps=20, clip=False)),
        lambda eps: run(scheduler, eps, x / LINEAR[1000].sqrt().float(), 20),
    )
