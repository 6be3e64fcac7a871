"""Files become traffic, or a sentence with the line that is wrong."""

from __future__ import annotations

import gzip
import os
import threading

import numpy as np
import pytest

from millpond.simulator import Duration, TraceError, read_traffic

SERVICE = Duration(0.5)


def written(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_columns_are_found_by_name(tmp_path):
    """In any order, among others; session and operation become numbers of names."""
    path = written(
        tmp_path, "operation,x,arrival_s,service_s,session\nask,1,0,0.5,a\nsay,2,1.5,0.25,\nask,3,1.5,1e-3,a\n"
    )
    found = read_traffic(path)
    assert found.arrival_s.tolist() == [0.0, 1.5, 1.5]
    assert found.service_s.tolist() == [0.5, 0.25, 0.001]
    assert (found.sessions, found.session.tolist()) == (("a",), [0, -1, 0])
    assert (found.operations, found.operation.tolist()) == (("ask", "say"), [0, 1, 0])
    assert not found.is_closed


def test_a_gzipped_file_is_read_whatever_its_name(tmp_path):
    """It is told by its first bytes."""
    for name in ("trace.csv.gz", "trace.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(b"\xef\xbb\xbfarrival_s,service_s\r\n1,2\r\n\r\n"))
        assert read_traffic(path).service_s.tolist() == [2.0]


def test_columns_go_by_other_names_if_that_is_said(tmp_path):
    """And service times that a file has not are drawn."""
    path = written(tmp_path, "when,who\n1,a\n2,b\n")
    found = read_traffic(path, {"arrival_s": "when", "session": "who"}, SERVICE)
    assert (found.service_s.tolist(), found.sessions) == ([0.5, 0.5], ("a", "b"))


def test_think_times_close_the_loop(tmp_path):
    """Where there is none a request comes at its arrival."""
    path = written(tmp_path, "arrival_s,service_s,session,think_s\n0,1,a,\n3,1,a,2\n")
    found = read_traffic(path)
    assert found.is_closed
    assert np.isnan(found.think_s[0])
    assert found.think_s[1] == 2.0


def test_json_lines_are_read_as_well(tmp_path):
    """An object a line; sessions may be numbers."""
    path = written(
        tmp_path, '{"arrival_s": 0, "service_s": 1, "session": 7}\n\n{"arrival_s": 2, "service_s": 1}\n', "t.jsonl"
    )
    found = read_traffic(path)
    assert (found.sessions, found.session.tolist()) == (("7",), [0, -1])


def test_counts_are_so_many_requests_in_each_second(tmp_path):
    """At times of that second which depend on the seed alone."""
    path = written(tmp_path, "2\n0\n3\n", "counts.txt")
    found = read_traffic(path, service=SERVICE, seed=4)
    assert np.floor(found.arrival_s).tolist() == [0, 0, 2, 2, 2]
    assert (found.arrival_s == read_traffic(path, service=SERVICE, seed=4).arrival_s).all()
    with pytest.raises(ValueError, match="how long a request takes"):
        read_traffic(path)


HEAD = "arrival_s,service_s\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "has no header"),
        ("arrival,service_s\n1,1\n", 1, "has no column 'arrival_s'; it has arrival, service_s"),
        ("arrival_s,arrival_s,service_s\n1,1,1\n", 1, "names the column 'arrival_s' twice"),
        (HEAD, 1, "has no requests"),
        (HEAD + "0,1\nsoon,1\n", 3, "arrival_s must be a number of seconds from 0 up, not 'soon'"),
        (HEAD + "0,1\n1,nan\n", 3, "service_s must be"),
        (HEAD + "0,1\n1,inf\n", 3, "service_s must be"),
        (HEAD + "0,-1\n", 2, "service_s must be"),
        (HEAD + "0,1\n2,1\n\n1.5,1\n", 5, "comes at 1.5 s, before the row above"),
        (HEAD + "0,1,2\n", 2, "has 3 values, and the header names 2 columns"),
        (HEAD + "0\n", 2, "has 1 values"),
        (HEAD + ",1\n", 2, "has no arrival_s"),
        (HEAD + "0,\n", 2, "has no service_s, and no service time is given"),
        (HEAD + '0,"1\n', 2, "is no CSV"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path, text, line, what):
    """Nothing is corrected, and nothing passed over."""
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as raised:
        read_traffic(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert what in str(raised.value)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no object"),
        ('{"service_s": 1}', "has no arrival_s"),
        ('{"arrival_s": true, "service_s": 1}', "arrival_s must be"),
        ('{"arrival_s": 1, "service_s": 1, "session": []}', "session must be a name"),
    ],
)
def test_a_bad_object_is_told_with_its_line(tmp_path, line, what):
    """As a bad row is."""
    path = written(tmp_path, '{"arrival_s": 0, "service_s": 1}\n' + line, "t.jsonl")
    with pytest.raises(TraceError, match=r"t\.jsonl:2: " + what):
        read_traffic(path)


@pytest.mark.parametrize("text", ["1\n-2\n", "1\n2.5\n", "1\n10000000\n"])
def test_what_is_no_count_is_told_with_its_line(tmp_path, text):
    """A count is a whole number, and not absurdly many."""
    with pytest.raises(TraceError, match="must be a count"):
        read_traffic(written(tmp_path, text, "c.txt"), service=SERVICE)


def test_what_is_no_text_and_no_file_is_told(tmp_path):
    """Bytes that are no UTF-8, a gzip file that ends too soon, a file that is not there."""
    path = tmp_path / "trace.csv"
    path.write_bytes(HEAD.encode() + b"0,1\n\xff,1\n")
    with pytest.raises(TraceError, match="is not UTF-8"):
        read_traffic(path)
    path.write_bytes(gzip.compress(HEAD.encode() + b"1,1\n" * 1000)[:-9])
    with pytest.raises(TraceError, match="cannot be read"):
        read_traffic(path)
    with pytest.raises(TraceError, match="No such file"):
        read_traffic(tmp_path / "nowhere.csv")


def test_unknown_columns_and_formats_are_refused(tmp_path):
    """With what there is."""
    path = written(tmp_path, HEAD + "0,1\n")
    with pytest.raises(ValueError, match="no column 'when' to be mapped"):
        read_traffic(path, {"when": "arrival_s"})
    with pytest.raises(ValueError, match="no format 'xml'"):
        read_traffic(path, format="xml")
    with pytest.raises(TraceError, match="has no column 'took'"):
        read_traffic(path, {"service_s": "took"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trace.jsonl", '{"arrival_s": 1' + "0" * 400 + ', "service_s": 1}\n'),
        ("trace.jsonl", '{"arrival_s": ' + "[" * 100_000 + "]" * 100_000 + "}\n"),
        ("trace.csv", "arrival_s,service_s\n1e300,1\n"),
        ("trace.txt", "9" * 5_000 + "\n"),
    ],
    ids=["integer", "nesting", "huge", "count"],
)
def test_what_no_number_can_hold_is_told_with_its_line(tmp_path, name, text):
    """And in a few words."""
    line = 2 if name == "trace.csv" else 1
    with pytest.raises(TraceError, match=f"{name}:{line}: ") as told:
        read_traffic(written(tmp_path, text, name), service=SERVICE)
    assert len(str(told.value)) < 400


def test_blanks_around_the_names_of_columns_do_not_count(tmp_path):
    """Else recorded service times would be drawn anew."""
    path = written(tmp_path, "arrival_s, service_s\n0, 0.25\n")
    assert read_traffic(path, service=SERVICE).service_s.tolist() == [0.25]


def test_a_pipe_is_read_like_a_file(tmp_path):
    """It can be read only once, from its beginning."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("arrival_s,service_s\n1,2\n",))
    writer.start()
    assert read_traffic(path).service_s.tolist() == [2.0]
    writer.join(10.0)
