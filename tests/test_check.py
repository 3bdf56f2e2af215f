"""The check core: whatever a student hands in, a check answers with a card, soon, and leaves no trace."""

import _thread
import json
import random
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import check
from course_lib.check.compare import difference, same
from course_lib.check.core import Exercise, Property, Result
from course_lib.check.properties import (
    backward_left_to_caller,
    close_to,
    device_kept,
    dtype_kept,
    fresh_noise,
    gradient_flows,
    input_unchanged,
    returns_tensor,
    shape,
)


def exercise(*properties, reference=lambda x: (x**2).mean(dim=1), draw=None, **more):
    draw = draw or (lambda g: (torch.randn(4, 3, generator=g),))
    return Exercise("9.1", "Mean square", 1, 1, ("first", "second"), reference, properties, draw, **more)


squares = exercise(
    returns_tensor(),
    input_unchanged(),
    close_to((lambda x: (x**2).sum(dim=1), "Sum for mean.")),
    gradient_flows(),
    dtype_kept(),
    device_kept(),
)


def told(answer, *words, of=squares, status="failed", seed=1, limit=5.0):
    """Check `answer` and assert what it is told; returns the result."""
    result = of(answer, seed=seed, limit=limit)
    assert result.status == status, result
    for word in words:
        assert word in result.message, result
    return result


def running():
    return [t for t in threading.enumerate() if t.name == "course-check"]


# What comes back, and how it looks


def test_right_answer_passes_with_every_seed():
    for seed in range(10):
        assert squares(lambda x: x.square().sum(1) / x.shape[1], seed=seed).passed


def test_result_is_plain_data_and_the_card_is_escaped():
    result = told(lambda x: print("<b>&</b>") or (x**2).sum(dim=1), "Sum for mean.")
    data = json.loads(json.dumps(result.as_dict()))
    assert (data["id"], data["passed"], data["property"]) == ("9.1", False, "values")
    html = Result("1", "<script>", "failed", "use `x < 1`", printed="<b>&</b>")._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<code>x &lt; 1</code>" in html
    assert 'role="status"' in html


def test_no_seed_means_new_inputs_each_time():
    seen = []
    record = exercise(Property("sees", lambda t: seen.append(t.args()[0].sum().item())))
    for _ in range(3):
        record(lambda x: x)
    assert len(set(seen)) == 3


def test_a_constant_that_fits_one_input_fails():
    seen = []
    squares(lambda x: seen.append((x**2).mean(dim=1)) or seen[-1], seed=1)
    assert not squares(lambda x: seen[0] + 0 * x.mean(dim=1), seed=2).passed


# Nothing filled in


def docstring_only(x):
    """Says what to do."""


def dots(x):
    """Says what to do."""
    ...


def dots_and_error(x):
    """Says what to do."""
    result = ...  # noqa: F841
    raise NotImplementedError


def message_and_error(x):
    raise NotImplementedError("your turn")


def returns_dots(x):
    result = ...
    return result


def half_done(x):
    square = ...
    return square + x.mean(dim=1)


def hands_dots_to_torch(x):
    return torch.mean(...)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x): ...


@pytest.mark.parametrize(
    "stub",
    [
        docstring_only,
        dots,
        dots_and_error,
        message_and_error,
        returns_dots,
        half_done,
        hands_dots_to_torch,
        None,
        ...,
    ],
    ids=lambda f: getattr(f, "__name__", str(f)),
)
def test_a_stub_is_not_attempted(stub):
    result = told(stub, status="not attempted")
    assert result.property is None


def test_a_class_with_an_empty_method_is_not_attempted():
    modules = exercise(reference=nn.Linear, observe=lambda cls, x: cls()(x))
    told(Layer, of=modules, status="not attempted")
    told(nn.Linear(3, 3), "class itself", of=modules)


def total(x):
    raise NotImplementedError


def calls_a_stub(x):
    return total(x) / x.shape[1]


def calls_a_stub_in_a_comprehension(x):
    return torch.stack([total(row) for row in x])


@pytest.mark.parametrize(
    "answer", [calls_a_stub, calls_a_stub_in_a_comprehension, lambda x: total(x) / x.shape[1]]
)
def test_the_stub_that_an_answer_calls_is_named(answer):
    result = told(answer, "calls `total`, which has no answer yet", status="not attempted")
    assert "no answer here" not in result.message


def test_a_stub_that_stops_inside_a_generator_is_not_told_that_it_calls_itself():
    def stops(x):
        return list((row for row in x).throw(NotImplementedError()))

    told(stops, "no answer here", status="not attempted")


def test_an_error_of_torch_is_not_taken_for_a_stub():
    def no_forward(x):
        return nn.Module()(x)

    told(no_forward, "NotImplementedError", "forward")


# Hostile and unlucky answers


def endless(x):
    while True:
        pass


def endless_print(x):
    while True:
        print("still here")


def swallows_everything(x):
    while True:
        try:
            print(1)
        except:  # noqa: E722
            pass


def swallows_and_names(x):
    while True:
        try:
            time.sleep(0.001)
        except BaseException as error:
            last = error  # noqa: F841


def many_lines(x):
    for i in range(50_000):
        print("line", i)
    return (x**2).sum(dim=1)


class Stop(BaseException):
    def __str__(self):
        raise RuntimeError("no words")


def own_base_exception(x):
    raise Stop


def calls_exit(x):
    sys.exit(3)


def raises_interrupt(x):
    raise KeyboardInterrupt


def asks(x):
    return x * float(input("how much?"))


def recursion(x):
    return recursion(x)


def generator(x):
    yield x


def forgets_return(x):
    (x**2).mean(dim=1)


def too_many_arguments(x, y):
    return x


# A message quotes the line that stopped: it must not stand beside the words that are looked for.
def beyond_the_end(x):
    return x[7]


def matrices_do_not_fit(x):
    return x @ x


def shapes_do_not_fit(x):
    return x + torch.ones(2)


def tensor_called(x):
    return x(0)


def backward_of_many(x):
    return x.clone().requires_grad_().square().backward()


def integers_put_into_floats(x):
    y = x.clone()
    y[x > 0] = torch.ones(3, dtype=torch.long)[0].expand(int((x > 0).sum()))
    return y


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (own_base_exception, ("Stop", "raise Stop")),
        (calls_exit, ("SystemExit: 3", "sys.exit(3)")),
        (raises_interrupt, ("KeyboardInterrupt",)),
        (asks, ("EOFError", "nobody answers")),
        (recursion, ("calls itself without end",)),
        (generator, ("yield",)),
        (forgets_return, ("forgets_return", "`return` missing")),
        (too_many_arguments, ("too_many_arguments(x, y)", "missing a required argument: 'y'")),
        (many_lines, ("Sum for mean.",)),
        (lambda x: (x**2).mean(dim=1).numpy(), ("return an ndarray,", "Stay in torch")),
        (lambda x: 3, ("return an int,", "Leave out `.item()` or `int(...)`")),
        (lambda x: (x**2).mean().item(), ("return a float,", "Leave out `.item()`")),
        (lambda x: ((x**2).mean(dim=1),), ("tuple", "comma")),
        (beyond_the_end, ("IndexError", "in line", "return x[7]")),
        (matrices_do_not_fit, ("RuntimeError", "is a `.T` missing?")),
        (shapes_do_not_fit, ("RuntimeError", "is a step missing before this line")),
        (tensor_called, ("TypeError", "`optimizer.step()` takes no loss")),
        (backward_of_many, ("RuntimeError", "A loss is one number")),
        (integers_put_into_floats, ("RuntimeError", "convert them with `.to(x)`")),
        (lambda x: [row.square().mean() for row in x], ("return a list,", "torch.stack")),
        (lambda x: (x**2).mean(), ("shape ()", "(4,)")),
        (lambda x: (x**2).mean(dim=1) * torch.nan, ("4 of your 4 numbers",)),
        (lambda x: (x**2).mean(dim=1) + 1, ("At [", "it should be")),
        (lambda x: x.mul_(x).mean(dim=1), ("(argument 1) in place",)),
        (lambda x: (x.detach() ** 2).mean(dim=1), ("No gradient",)),
        (lambda x: (x * x.detach()).mean(dim=1), ("gradient for argument 1 is not",)),
        (lambda x: (x.float() ** 2).mean(dim=1), ("float64", "float32")),
        (lambda x: (x**2 + torch.zeros(x.shape)).mean(dim=1), ("mixes devices",)),
        (3.0, ("function itself", "a float")),
        (3, ("its result, an int.",)),
        (torch.zeros(4), ("function itself", "Tensor")),
        (nn.Linear, ("class",)),
        ("text", ("str",)),
    ],
)
def test_it_says_what_is_wrong(answer, words):
    told(answer, *words)


@pytest.mark.parametrize("answer", [endless, endless_print, swallows_everything, swallows_and_names])
def test_an_endless_loop_is_stopped(answer):
    told(answer, "never ends", limit=0.1)
    assert not running(), "the loop still runs"


def test_sleeping_code_is_given_up(monkeypatch):
    monkeypatch.setattr("course_lib.check.sandbox.GRACE", 0.05)
    told(lambda x: time.sleep(0.5), "restart the kernel", limit=0.05)
    for thread in running():
        thread.join(5)


def test_prints_are_kept_short_and_never_shown(capsys):
    result = told(many_lines)
    assert capsys.readouterr() == ("", "")
    assert result.printed.startswith("line 0\nline 1\n")
    assert len(result.printed) <= 4_000
    assert result.lines_dropped > 40_000
    assert f"{result.lines_dropped:,} more lines" in result._repr_html_()


def test_the_line_of_the_mistake_is_named():
    result = told(lambda x: x.no_such_thing)
    line = (lambda: 0).__code__.co_firstlineno - 1
    assert f"line {line}" in result.message
    assert "x.no_such_thing" in result.message


def test_the_line_is_the_students_not_the_librarys():
    told(lambda x: nn.functional.conv2d(x, x, groups=9), "nn.functional.conv2d(x, x, groups=9)")


# Nothing is left behind


def meddler(x):
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    sys.stdout.write("x")
    raise ValueError


def test_global_state_is_left_as_found():
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    expected = torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    streams = sys.stdout, sys.stderr
    told(meddler, "ValueError")
    squares(lambda x: x)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).device.type == "cpu"
    assert (sys.stdout, sys.stderr) == streams
    found = torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    assert torch.equal(found[0], expected[0])
    assert (found[1] == expected[1]).all()
    assert found[2] == expected[2]


def test_the_callers_settings_do_not_change_the_verdict():
    with torch.no_grad():
        assert squares(lambda x: (x**2).mean(dim=1), seed=1).passed
        assert not torch.is_grad_enabled()
    torch.set_default_dtype(torch.float64)
    try:
        assert squares(lambda x: (x**2).mean(dim=1), seed=1).passed
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_ctrl_c_stops_the_work_and_is_passed_on():
    before = sys.stdout, sys.stderr, input
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        squares(endless, limit=60.0)
    timer.join()
    assert not running()
    assert (sys.stdout, sys.stderr, input) == before


# Properties


def test_mistakes_are_compared_under_equal_noise():
    def noisy(x, sigma=0.5):
        return x + sigma * torch.randn_like(x)

    noise = exercise(
        close_to((lambda x: noisy(x, 0.25), "Variance for standard deviation.")),
        fresh_noise(),
        reference=noisy,
    )
    assert noise(lambda x: x + torch.randn_like(x) / 2, seed=3).passed
    told(lambda x: noisy(x, 0.25), "Variance for standard deviation.", "At [", of=noise)
    only_new = exercise(fresh_noise(), reference=noisy)
    told(lambda x: x, "the noise missing", of=only_new)
    told(lambda x: torch.manual_seed(0) and noisy(x), "Is a seed", of=only_new)


@pytest.mark.parametrize("seed", [0, 1, 2, None])
def test_noise_has_nothing_to_do_with_the_inputs(seed):
    seen = []

    def watches(x):
        u = torch.rand_like(x)
        seen.append(torch.stack([x, u]).corrcoef()[0, 1].abs())
        return x + u

    several = exercise(
        Property("answer", lambda t: t.answer(t.student) is None),
        Property("answers", lambda t: not t.answers(t.student, 2)),
        fresh_noise(),
        reference=watches,
        draw=lambda g: (torch.rand(10_000, generator=g),),
    )
    assert several(watches, seed=seed).passed
    assert len(seen) == 6
    assert max(seen) < 0.1


def test_answers_in_a_row_draw_further_noise_from_one_state():
    found = []
    noise = exercise(Property("notes", lambda t: found.append(t.answers(t.student, 3))))
    for _ in range(2):
        noise(lambda x: torch.rand(5), seed=3)
    assert same(found[0], found[1], 0, 0)
    assert len({tuple(y.tolist()) for y in found[0]}) == 3


def test_a_mistake_that_matches_by_chance_is_not_told():
    first = []

    def lucky(x):
        first.append(x.mean() + 1)
        return first[0]

    values = exercise(close_to((lucky, "Lucky.")), reference=lambda x: x.mean())
    result = told(lambda x: x.mean() + 1, "it should be", of=values)
    assert "Lucky" not in result.message
    assert len(first) == 2


def test_code_that_works_for_float32_only_is_told_so():
    def thirds(x):
        return x**2 @ torch.full((3,), 1 / 3)

    result = told(thirds, "With float32 your code works", "give new values the type", "full((3,)")
    assert result.property == "dtype"
    for error in (check.explain.NotAttempted, check.explain.Complaint):  # these say enough by themselves

        def complains(x, error=error):
            if x.dtype == torch.float64:
                raise error("Something of its own.")
            return (x**2).mean(dim=1)

        result = exercise(dtype_kept())(complains, seed=1)
        assert result.message == "Something of its own."


def test_backward_is_left_to_the_caller():
    def loss(x):
        return x.square().mean()

    def differentiates(x):
        loss(x).backward()
        return loss(x)

    losses = exercise(backward_left_to_caller(differentiates), close_to(), reference=loss)
    assert losses(loss, seed=1).passed
    told(differentiates, "calls `backward()` itself", of=losses)
    weights = exercise(
        backward_left_to_caller(lambda m, x: loss(m(x)).backward()),
        reference=lambda m, x: loss(m(x)),
        draw=lambda g: (nn.Linear(3, 2), torch.randn(4, 3, generator=g)),
    )
    told(lambda m, x: loss(m(x.detach())).backward() or loss(x), "calls `backward()` itself", of=weights)
    assert weights(lambda m, x: loss(m(x)), seed=1).passed


def test_fresh_noise_finds_a_seed_set_once():
    made = torch.Generator()

    def own_seed(x):  # two calls differ, but not because of the caller's seed
        return x + torch.randn(x.shape, generator=made)

    assert exercise(fresh_noise(), reference=own_seed)(own_seed).passed


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_a_result_in_another_type_has_the_same_gradient(dtype):
    flows = exercise(gradient_flows())
    for seed in range(4):
        assert flows(lambda x: (x**2).mean(dim=1).to(dtype), seed=seed).passed
        told(lambda x: (x * x.detach()).mean(dim=1).to(dtype), "gradient for argument 1", of=flows, seed=seed)


def test_shape_explains_known_wrong_shapes():
    free = exercise(shape({(4, 3): "Average over dimension 1."}))
    told(lambda x: torch.rand(4, 3), "(4, 3)", "(4,)", "Average over dimension 1.", of=free)
    assert free(lambda x: torch.rand(4)).passed


def test_a_function_that_only_changes_something_may_return_none():
    def fill(x):
        x.fill_(1)

    silent = exercise(reference=fill, may_return_none=True)
    assert silent(fill).passed


def test_same_and_difference_look_inside():
    a, b = torch.ones(2, 3), torch.ones(2, 3)
    b[1, 2] = 5
    assert same({"a": [a, 1]}, {"a": [a.double(), 1.0]}, 0, 0)
    assert not same((a, a), (a, b), 0, 0)
    assert not same(a, a[0], 0, 0)
    assert not same("a", "b", 0, 0)
    assert same(np.float32(2), 2, 0, 0)
    assert difference((a, b), (a, a)) == ("Part 2 of what you return: At [1, 2] you have 5, it should be 1.")
    assert difference("text", a) == "You return a str, it should be a Tensor."
    assert "you return one Tensor" in difference(a, (a, a))
    assert "you return 1" in difference((a,), (a, a))
    assert difference(torch.tensor(0.5), torch.tensor(0.0)) == "You get 0.5, it should be 0."


# Hints and modules


def test_hints_are_graded_and_never_fail():
    texts = {squares.hint(level).text for level in (1, 2)}
    assert texts == {"first", "second"}
    for level in (0, 3, -1, "1", 1.5, None):
        assert "There are 2 hints" in squares.hint(level).text
    assert "There is no exercise 99.1" in repr(check.hint("99.1"))
    assert "There is no exercise" in repr(check.hint(None))
    assert "hint" in check.hint("0.1", 1)._repr_html_().lower()


def test_an_unknown_module_is_named():
    with pytest.raises(AttributeError, match=r"no checks called 'nosuch'.*start"):
        check.nosuch  # noqa: B018
