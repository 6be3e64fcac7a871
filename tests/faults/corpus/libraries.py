"""Kinds of values of numpy, pandas, scipy and scikit-learn. Executed in `__main__`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from tests.faults.corpus.registry import kind


class Shifted(TransformerMixin, BaseEstimator):
    def __init__(self, by=1):
        self.by = by

    def fit(self, X, y=None):
        self.mean_ = float(np.mean(X))
        return self

    def transform(self, X):
        return X - self.mean_ + self.by


class Meters(np.ndarray):
    unit = "m"

    def doubled(self):
        return self * 2


def halved(X):
    return X / 2


def fitted():
    X = np.arange(12.0).reshape(6, 2)
    model = make_pipeline(Shifted(2), FunctionTransformer(halved), StandardScaler(), LogisticRegression(max_iter=50))
    return model.fit(X, [0, 0, 0, 1, 1, 1])


def generator():
    it = np.random.default_rng(3)
    it.random()
    return it


def frame():
    return pd.DataFrame(
        {"n": [1, 2], "c": pd.Categorical(["x", "y"]), "t": pd.to_datetime(["2026-01-01", None], utc=True)},
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "i"]),
    )


RECORD = np.dtype([("a", "<i4"), ("b", "U3")])

kind("array of numbers", lambda: np.arange(6.0).reshape(2, 3), lambda it: (it.shape, it.tolist(), it.flags.writeable))
kind("large array", lambda: np.arange(200_000), lambda it: (it.dtype.str, int(it.sum())))
kind(
    "array in Fortran's order",
    lambda: np.asfortranarray(np.ones((2, 3))),
    lambda it: (it.flags.f_contiguous, it.tolist()),
)
kind("array of records", lambda: np.array([(1, "x")], RECORD), lambda it: (it["b"].tolist(), it.dtype == RECORD))
kind("array of objects", lambda: np.array([{"a": 1}, halved], dtype=object), lambda it: (it[0], float(it[1](3))))
kind("array of dates", lambda: np.array(["2026-01-01", "NaT"], "M8[D]"), lambda it: [str(x) for x in it])
kind("masked array", lambda: np.ma.array([1, 2], mask=[0, 1]), lambda it: (it.tolist(), int(it.sum())))
kind("subclass of ndarray", lambda: np.ones(2).view(Meters), lambda it: (it.doubled().tolist(), it.unit))
kind(
    "numpy scalars and dtypes",
    lambda: [np.float32(1.5), np.int8(3), np.dtype("M8[ns]"), np.add],
    lambda it: [str(x) for x in it],
)
kind("numpy generator", generator, lambda it: it.bit_generator.state["state"]["state"] % 1000)
kind("sparse matrix", lambda: sparse.csr_matrix([[0, 1], [2, 0]]), lambda it: (it.nnz, it.toarray().tolist()))
kind("data frame", frame, lambda it: (str(it), [str(x) for x in it.dtypes], it.index.names))
kind(
    "series and index",
    lambda: [pd.Series([1, None], dtype="Int64"), pd.date_range("2026", periods=2, tz="UTC")],
    lambda it: [str(x) for x in it],
)
kind(
    "data frame that holds functions",
    lambda: pd.DataFrame({"f": [halved, Shifted(3)]}),
    lambda it: (it.f[0](4), it.f[1].by),
)
kind(
    "scikit-learn pipeline",
    fitted,
    lambda it: (it.predict(np.arange(12.0).reshape(6, 2)).tolist(), it[0].by, type(it[0]).__name__),
)
kind("scikit-learn, not fitted", lambda: Shifted(4), lambda it: (it.get_params(), repr(it)))
