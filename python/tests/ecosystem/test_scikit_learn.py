"""scikit-learn: a model that is fitted at import predicts in every invocation, also on several threads of its own."""

from conftest import PlayFunction

FUNCTION = {
    "app.py": """
        import numpy
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LinearRegression

        features = numpy.arange(80, dtype="float64").reshape(-1, 2)
        forest = RandomForestClassifier(n_estimators=10, random_state=1, n_jobs=2).fit(features, features[:, 0] > 40)
        line = LinearRegression().fit(features[:, :1], features[:, 0] * 3 + 1)

        def handler(event, context):
            return {
                "large": [bool(value) for value in forest.predict(numpy.array(event, dtype="float64"))],
                "line": [round(float(value), 6) for value in line.predict(numpy.array(event, dtype="float64")[:, :1])],
            }
    """
}


def test_a_model_fitted_at_import_predicts(play_tool: PlayFunction) -> None:
    run = play_tool(FUNCTION, events=[[[2, 3], [78, 79]], [[60, 61]]])
    assert run.responses == [{"large": [False, True], "line": [7.0, 235.0]}, {"large": [True], "line": [181.0]}]
