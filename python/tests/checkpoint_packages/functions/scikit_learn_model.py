from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_iris(return_X_y=True)
linear = make_pipeline(StandardScaler(), LogisticRegression(random_state=0)).fit(X, y)
forest = RandomForestClassifier(n_estimators=20, random_state=0, n_jobs=2).fit(X, y)


def handler(event, context):
    return [linear.predict([event]).tolist(), forest.predict([event]).tolist(), linear.predict_proba([event]).round(6).tolist()]
