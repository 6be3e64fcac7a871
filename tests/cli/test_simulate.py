"""`millpond simulate`: what it prints, where, and how it ends if it cannot."""

from __future__ import annotations

import json

import pytest

from millpond.cli.app import app

TRACE = "arrival_s,service_s\n" + "".join(f"{at},1\n" for at in (0, 1, 1.5, 10))


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return str(path)


def ended_with(capsys, *tokens):
    """The exit code of a command that cannot be carried out, and what it said; nothing of it on standard output."""
    with pytest.raises(SystemExit) as ended:
        app(["simulate", *tokens])
    said = capsys.readouterr()
    assert said.out == ""
    return ended.value.code, said.err


def test_json_is_an_object_for_each_policy_and_cold_start(trace, capsys):
    """And nothing else on standard output; the same seed gives the same figures."""
    tokens = ["simulate", trace, "--cold", "2", "0.5", "--policy", "fixed", "target", "--max", "3", "--score-from", "0"]
    printed = []
    for _ in range(2):
        app([*tokens, "--json"])
        rows = json.loads(capsys.readouterr().out)
        assert all(row.pop("wall_s") >= 0 for row in rows)
        printed.append(rows)
    assert printed[0] == printed[1]
    rows = printed[0]
    assert [(row["policy"], row["cold"]) for row in rows] == [
        ("fixed", 2.0),
        ("target", 2.0),
        ("fixed", 0.5),
        ("target", 0.5),
    ]
    assert [row["clairvoyant_worker_seconds"] for row in rows[:1]] == [6.5]
    assert {(row["mode"], row["requests"], row["scored"], row["span_s"]) for row in rows} == {("prompt", 4, 4, 10.0)}


def test_an_infinite_percentile_is_null(trace, capsys):
    """JSON has no infinity."""
    app(
        [
            "simulate",
            trace,
            "--cold",
            "2",
            "--policy",
            "fixed",
            "--max",
            "1",
            "--deadline",
            "1.5",
            "--score-from",
            "0",
            "--json",
        ]
    )
    row = json.loads(capsys.readouterr().out)[0]
    assert row["wait_p99"] is None
    assert row["attainment"] < 1


def test_people_get_a_table(trace, capsys, monkeypatch):
    """With the names of the policies, or one figure a line where that has no room."""
    for columns, head in (("100", "x clv"), ("40", "fixed, cold start 2")):
        monkeypatch.setenv("COLUMNS", columns)
        app(["simulate", trace, "--cold", "2", "--policy", "fixed"])
        assert head in capsys.readouterr().out


def test_a_report_is_a_page_of_its_own(trace, tmp_path, capsys):
    """Charts of demand, workers and waits, without scripts."""
    page = tmp_path / "page.html"
    app(["simulate", trace, "--cold", "2", "--policy", "fixed", "--report", str(page)])
    capsys.readouterr()
    text = page.read_text()
    assert "<svg" in text
    assert "<script" not in text
    assert "Demand and workers" in text
    code, said = ended_with(
        capsys, trace, "--cold", "2", "--policy", "fixed", "--report", str(tmp_path / "no" / "page")
    )
    assert (code, "No such file" in said) == (2, True)


def test_generated_traffic_needs_no_file(capsys):
    """Its parameters stand behind its name."""
    app(["simulate", "poisson:rate=2,span=60", "--service", "0.1", "--cold", "0.2", "--policy", "fixed", "--json"])
    assert 80 < json.loads(capsys.readouterr().out)[0]["requests"] < 170


def test_settings_of_the_pool_can_be_set(capsys, tmp_path):
    """With a session's calls bound to a busy worker by `strict`, and by `hint` not."""
    path = tmp_path / "sessions.csv"
    path.write_text("arrival_s,service_s,session\n0,1,a\n2,9,b\n3,1,a\n")
    tokens = ["--cold", "0.1", "--policy", "target", "--score-from", "0", "--json"]
    met = []
    for setting in ("affinity=strict", "affinity=hint"):
        app(["simulate", str(path), *tokens, "--setting", setting, "sleep_after=None"])
        met.append(json.loads(capsys.readouterr().out)[0]["wait_p99"])
    assert met[1] < 2.0 < met[0]


def test_traffic_is_scaled_in_time_and_rate(trace, capsys):
    """Twice the time, three times the requests."""
    app(
        [
            "simulate",
            trace,
            "--cold",
            "2",
            "--policy",
            "fixed",
            "--time",
            "2",
            "--rate",
            "3",
            "--score-from",
            "0",
            "--json",
        ]
    )
    row = json.loads(capsys.readouterr().out)[0]
    assert row["requests"] == row["scored"] == 12
    assert row["span_s"] == 20.0
    assert 18.0 <= row["floor_worker_seconds"] <= 22.0


@pytest.mark.parametrize(
    ("tokens", "what"),
    [
        (["--cold", "soon"], "'soon' is no duration"),
        (["--cold", "1", "--policy", "none"], "there is no policy 'none'"),
        (["--cold", "1", "--policy", "nowhere:Policy"], "there is no policy 'nowhere:Policy'"),
        (["--cold", "1", "--deadline", "never"], "a deadline is seconds above 0, or none, not 'never'"),
        (["--cold", "1", "--min", "3", "--max", "2"], "--min (3) is above --max (2)"),
        (["--cold", "1", "--column", "when"], "'when' maps no column"),
        (["--cold", "1", "--rate", "1e-9"], "nothing is left"),
        (["--cold", "1", "--setting", "affinity"], "'affinity' sets nothing"),
        (["--cold", "1", "--setting", "affinity=loose"], "affinity must be one of"),
        (["--cold", "1", "--setting", "afinity=hint"], "did you mean 'affinity'?"),
        (["--cold", "1", "--setting", "max_workers=3"], "has an option of its own: --max"),
        (["--cold", "1", "--share", "0"], "an objective's share must be"),
    ],
)
def test_what_was_asked_for_wrongly_is_said_in_a_sentence(trace, capsys, tokens, what):
    """Exit code 2, no traceback."""
    code, said = ended_with(capsys, trace, *tokens)
    assert code == 2
    assert said.startswith("millpond: ")
    assert what in " ".join(said.split())
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "tokens", [["--cold", "1", "--share", "2"], ["--cold", "1", "--mode", "fast"], ["--cold", "1", "--max", "0"], []]
)
def test_an_option_out_of_range_is_told_by_its_name(trace, capsys, tokens):
    """Exit code 2 as well."""
    code, said = ended_with(capsys, trace, *tokens)
    assert code == 2
    assert (tokens[-2] if tokens else "--cold") in said


def test_a_bad_row_is_told_with_its_line(tmp_path, capsys):
    """Exit code 2, the file and the line."""
    path = tmp_path / "trace.csv"
    path.write_text(TRACE + "9,1\n")
    code, said = ended_with(capsys, str(path), "--cold", "1", "--policy", "fixed")
    assert (code, said) == (2, f"millpond: {path}:6: comes at 9.0 s, before the row above (10.0 s)\n")
    code, said = ended_with(capsys, str(tmp_path / "nowhere.csv"), "--cold", "1")
    assert (code, said) == (2, f"millpond: {tmp_path / 'nowhere.csv'}: No such file or directory\n")


@pytest.mark.parametrize(
    ("trace", "tokens", "what"),
    [
        ("poisson", [], "--service"),
        ("poisson:rate", ["--service", "1"], "'rate' is no parameter"),
        ("poisson:speed=1", ["--service", "1"], "poisson has no 'speed'"),
        ("poisson", ["--service", "1", "--format", "csv"], "is generated"),
    ],
)
def test_traffic_that_cannot_be_made_is_said(trace, tokens, what, capsys):
    """As for a file."""
    code, said = ended_with(capsys, trace, "--cold", "1", "--policy", "fixed", *tokens)
    assert (code, what in said) == (2, True)
