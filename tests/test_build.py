"""The notebook builder: student and solution notebooks from one source, and no quiet mistakes on the way."""

import ast
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))
import build  # noqa: E402
from blanks import BuildError, check_exercise, split  # noqa: E402

STUB = '''def mse(x, y):
    """Mean squared error."""
    # SOLUTION
    difference = x - y
    return difference.square().mean()
    # END SOLUTION
    # EXERCISE
    # | difference = ...  # one line
    # |
    # | raise NotImplementedError
    # END EXERCISE'''

SOURCE = f"""# %% [markdown] slideshow={{"slide_type": "slide"}}
# # A title
# Some *text*.

# %%
print(1 + 1)

# %% tags=["exercise", "ex-9.1"]
{STUB}


print(mse)

# %%
print(1 + 1)

# %% tags=["solution-only"]
print("for teachers")

# %% [markdown] tags=["student-only"]
# for students
"""

EXERCISE = ["exercise", "ex-9.1"]


@pytest.fixture
def source(tmp_path):
    """A source file in a folder of its own; the notebooks are written beside it."""
    (tmp_path / "src").mkdir()
    path = tmp_path / "src" / "09_test.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def run(source, *options):
    return build.main([*options, "--source", str(source.parent)])


def cells(path):
    return nbformat.read(path, as_version=4).cells


# Markers


def test_the_student_gets_the_stub_and_the_solution_notebook_the_solution():
    student, solution = split(STUB, "here")
    assert student == (
        'def mse(x, y):\n    """Mean squared error."""\n    difference = ...  # one line\n\n'
        "    raise NotImplementedError"
    )
    assert "square" in solution
    assert "NotImplementedError" not in solution
    check_exercise(student, solution, EXERCISE, "here")


def test_a_cell_without_markers_is_the_same_for_both():
    assert split("x = 1\n\ny = 2", "here") == ("x = 1\n\ny = 2",) * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# SOLUTION\nx = 1", "not closed"),
        ("# SOLUTION\nx = 1\n# END SOLUTION\ny = 2", "between END SOLUTION and EXERCISE"),
        ("# SOLUTION\nx = 1\n# END SOLUTION", "not closed"),
        ("# EXERCISE\n# | x = ...\n# END EXERCISE", "cannot stand after"),
        ("# SOLUTION\n# SOLUTION\n", "cannot stand after"),
        ("# SOLUTION\nx = 1\n# END SOLUTION\n# EXERCISE\nx = ...\n# END EXERCISE", "does not begin with"),
    ],
)
def test_misplaced_markers_are_named(text, words):
    with pytest.raises(BuildError, match=words):
        split(text, "here")


SOLUTION = '''def f(x, y=1):
    """Doc."""
    a = x + y
    b = a * 2
    return b'''


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("y=1", "y=2", "first line of `f`"),
        ("def f", "def g", "stub defines `g`"),
        ('"""Doc."""', '"""Dok."""', "docstring"),
        ("b = a * 2", "b = a * 3", "`b = a \\* 3` is not a line"),
        ("a = x + y", "c = ...", "`c = ...` is not a line"),
        ("b = a * 2", "b = (", "not Python"),
    ],
)
def test_a_stub_that_is_not_its_solution_is_refused(old, new, words):
    stub = SOLUTION.replace("return b", "return ...").replace(old, new)
    with pytest.raises(BuildError, match=words):
        check_exercise(stub, SOLUTION, EXERCISE, "here")


def test_blanks_of_all_kinds_are_accepted():
    for old, new in [
        ("a = x + y", "a = ..."),
        ("return b", "raise NotImplementedError"),
        ("b = a * 2", "b = a * ..."),
    ]:
        check_exercise(SOLUTION.replace(old, new), SOLUTION, EXERCISE, "here")
    check_exercise(
        SOLUTION.replace("    a = x + y\n    b = a * 2\n    return b", "    # yours\n    ..."),
        SOLUTION,
        EXERCISE,
        "",
    )


def test_order_of_lines_and_missing_definitions_matter():
    swapped = SOLUTION.replace("    a = x + y\n    b = a * 2", "    b = a * 2\n    a = x + y")
    with pytest.raises(BuildError, match="is not a line"):
        check_exercise(swapped.replace("return b", "..."), SOLUTION, EXERCISE, "here")
    with pytest.raises(BuildError, match="lacks `f`"):
        check_exercise("...", SOLUTION, EXERCISE, "here")


def test_a_stub_without_a_blank_is_refused():
    with pytest.raises(BuildError, match="no blank"):
        check_exercise("x = 1", "x = 1\ny = 2", EXERCISE, "here")


def test_tags_and_markers_go_together():
    with pytest.raises(BuildError, match="tagged as an exercise"):
        check_exercise("x = 1", "x = 1", EXERCISE, "here")
    for tags in ([], ["exercise"], ["ex-9.1"], ["exercise", "ex-1"], [*EXERCISE, "ex-9.2"]):
        with pytest.raises(BuildError, match="needs tags"):
            check_exercise("x = ...", "x = 1", tags, "here")


def test_a_mistake_names_file_and_cell(source, capsys):
    source.write_text(SOURCE.replace("# | difference", "# | differenz"), encoding="utf-8")
    assert run(source, "--no-execute") == 1
    said = capsys.readouterr().err
    assert "09_test.py, cell 3" in said
    assert "def mse" in said
    assert not list(source.parents[1].glob("*.ipynb"))


# Notebooks


def test_what_is_in_the_notebooks(source):
    assert run(source, "--no-execute") == 0
    student = cells(source.parents[1] / "09_test.ipynb")
    solution = cells(source.parents[1] / "solutions" / "09_test.ipynb")
    assert [c.cell_type for c in student] == ["markdown", "code", "code", "code", "markdown"]
    assert "for students" in student[-1].source
    assert "for teachers" in solution[-1].source
    assert student[0].metadata.slideshow.slide_type == "slide"
    assert student[2].metadata.tags == EXERCISE
    assert student[2].id == solution[2].id == "ex-9-1"
    assert len({c.id for c in student}) == len(student), "equal cells need ids of their own"
    assert "difference.square" not in student[2].source
    for cell in (*student, *solution):
        assert "SOLUTION" not in cell.source
        assert "EXERCISE" not in cell.source
    ast.parse(solution[2].source)


def test_two_builds_are_byte_equal(source):
    run(source, "--no-execute")
    first = {p: p.read_bytes() for p in source.parents[1].rglob("*.ipynb")}
    run(source, "--no-execute")
    assert {p: p.read_bytes() for p in source.parents[1].rglob("*.ipynb")} == first
    assert len(first) == 2
    assert all(b"\r" not in content and content.endswith(b"}\n") for content in first.values())


def edit(path, change):
    nb = json.loads(path.read_text(encoding="utf-8"))
    change(nb)
    path.write_text(json.dumps(nb), encoding="utf-8")


def executed(nb):
    nb["metadata"]["course"]["executed"] = True


def test_check_tells_what_is_stale(source, capsys):
    student, solution = source.parents[1] / "09_test.ipynb", source.parents[1] / "solutions" / "09_test.ipynb"
    assert run(source, "--check") == 1
    assert "09_test.ipynb is missing\nsolutions/09_test.ipynb is missing" in capsys.readouterr().out
    run(source, "--no-execute")
    capsys.readouterr()
    assert run(source, "--check") == 1
    assert "built without outputs" in capsys.readouterr().out
    edit(student, executed), edit(solution, executed)
    assert run(source, "--check") == 0
    edit(student, lambda nb: nb["cells"][0].update(source="# Another title"))
    assert run(source, "--check") == 1
    assert "09_test.ipynb was edited by hand" in capsys.readouterr().out
    source.write_text(SOURCE + "\n# one more line\n", encoding="utf-8")
    assert run(source, "--check") == 1
    assert "solutions/09_test.ipynb is older than its source" in capsys.readouterr().out


def test_line_ends_of_windows_do_not_make_a_notebook_stale(source):
    run(source, "--no-execute")
    for path in (source.parents[1] / "09_test.ipynb", source.parents[1] / "solutions" / "09_test.ipynb"):
        edit(path, executed)
    source.write_bytes(SOURCE.replace("\n", "\r\n").encode())
    assert run(source, "--check") == 0


def test_an_unknown_name_lists_the_notebooks(source, capsys):
    assert run(source, "77") == 1
    assert "'77'; there are 09_test" in capsys.readouterr().err


# Execution


def test_outputs_are_kept_and_a_failing_cell_overwrites_nothing(source, capsys):
    assert run(source) == 0
    path = source.parents[1] / "09_test.ipynb"
    student = cells(path)
    assert student[1].outputs[0].text == "2\n"
    assert "execution" not in student[1].metadata
    assert run(source, "--check") == 0
    before = path.read_bytes()
    capsys.readouterr()
    source.write_text(
        SOURCE.replace('print(1 + 1)\n\n# %% tags=["sol', '1 / 0\n\n# %% tags=["sol'), encoding="utf-8"
    )
    assert run(source) == 1
    said = capsys.readouterr().err
    assert "cell 4 failed" in said
    assert "ZeroDivisionError" in said
    assert "\x1b" not in said
    assert path.read_bytes() == before


@pytest.mark.parametrize("source", sorted((ROOT / "notebooks" / "src").glob("*.py")), ids=lambda p: p.stem)
def test_links_between_files_lead_somewhere(source):
    text = [line for line in source.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for link in re.findall(r"\]\(([^)\s]+)\)", "\n".join(text)):  # in prose: code may hold f[i](x)
        if not link.startswith(("http", "#", "data:")):
            assert (ROOT / "notebooks" / link.split("#")[0]).exists(), f"{source.name} links to {link}"


def output(**fields):
    return nbformat.from_dict({"output_type": "stream", "name": "stdout", "text": "", **fields})


def notebook(*outputs):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x")])
    nb.cells[0].outputs = list(outputs)
    return nb


def test_noise_and_private_paths_are_refused():
    with pytest.raises(BuildError, match="cell 1 writes to stderr: FutureWarning"):
        build.published(notebook(output(name="stderr", text="FutureWarning: x")), "n", "student")
    with pytest.raises(BuildError, match="this machine's path"):
        build.published(notebook(output(text=f"saved in {ROOT}/x.png")), "n", "student")
    assert build.published(notebook(output(text="fine")), "n", "student").cells[0].outputs[0].text == "fine"


def test_large_outputs_are_shown_once_in_the_student_notebook():
    data = {"text/html": "h" * 10_000, "image/png": "p" * 5_000, "text/plain": "t"}
    big = nbformat.from_dict({"output_type": "display_data", "data": data, "metadata": {}})
    for kind, tags, kept in (
        ("solution", [], {"text/plain"}),
        ("solution", ["solution-only"], set(data)),
        ("student", [], set(data)),
    ):
        nb = notebook(nbformat.from_dict(big))
        nb.cells[0].metadata["tags"] = tags
        assert set(build.published(nb, "n", kind).cells[0].outputs[0].data) == kept


def test_a_notebook_over_one_megabyte_is_refused(source, capsys):
    source.write_text(SOURCE + "\n# %%\n'" + "x" * 1_050_000 + "'\n", encoding="utf-8")
    assert run(source, "--no-execute") == 1
    said = capsys.readouterr().err
    assert "999,999 are allowed" in said
    assert "cell 6: source, 1,050,0" in said, "it says which cells weigh most"
    assert not list(source.parents[1].glob("*.ipynb"))


def test_slow_cells_are_reported_loudly(capsys):
    build.report([(61.0, 3), (95.0, 7)], "09_test", "student")
    said = capsys.readouterr().out
    assert said.count("!!!") == 6
    assert "cell 7 takes 95 s" in said
    assert "09_test takes 156 s" in said


def test_every_quiz_of_the_course_is_folded():
    """A quiz holds its own answers: the student must not read them before choosing."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code" and re.search(r"^Quiz\(", cell.source, re.MULTILINE):
                assert cell.metadata.jupyter.source_hidden, f"{path.name}: {cell.source[:60]}"
