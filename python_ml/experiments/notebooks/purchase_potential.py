# %% [markdown]
# # Purchase potential: customers as points
#
# Two factorisations of who bought what, groups of customers in them, and what those groups did
# next.

# %%
from python_ml.experiments.ladder.pairs import products_of
from python_ml.experiments.ladder.segments import embeddings, grouped, segments
from python_ml.experiments.ladder.study import markdown
from python_ml.pipeline import Pipeline
from python_ml.predictions.purchase_potential import PREDICTION
from python_ml.settings import load_settings

pipeline = Pipeline(load_settings())
request = pipeline.request(only=[PREDICTION.name])
shop = products_of(pipeline, PREDICTION, request.as_of, most_items=2_000)
dates, _ = shop.matured_dates(PREDICTION.horizon_days)
day = dates[-1].astype(object)
snapshot = shop.snapshot(day)
print(f"{len(snapshot.customers):,} customers, {len(snapshot.items):,} products as of {day}")

# %% [markdown]
# ## Two embeddings
#
# The singular value decomposition may be negative; the non-negative factorisation reads as shares
# of a few tastes. Neither looks at anything after the as-of date.

# %%
for name, points in embeddings(snapshot, seed=1).items():
    group = grouped(points, seed=1)
    print(name, points.shape, [int((group == number).sum()) for number in sorted(set(group))])

# %% [markdown]
# ## What the groups then did

# %%
print(markdown(segments(snapshot, shop.truth(day, PREDICTION.horizon_days), seed=1)))
