# %% [markdown]
# # Order habit: how an AUC of 1.0 is made, and what is left of it
#
# Run it on the home that `SMARTRETAIL_HOME` names (the demo shop by default), after `smartretail
# run` or `smartretail load` and `smartretail build`. Open it as a notebook with any editor that
# knows the percent format, or run it as a script.

# %%
from python_ml.experiments.ladder.experiment import cut_of
from python_ml.experiments.ladder.order_habit import COUNTS, LEAKS, TOTALS
from python_ml.experiments.ladder.report import section_of
from python_ml.experiments.ladder.rungs import Rung
from python_ml.experiments.ladder.runner import Climber
from python_ml.experiments.ladder.study import markdown
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings

pipeline = Pipeline(load_settings())

# %% [markdown]
# ## One shop, one day, two protocols
#
# `as done` reads the features at the end of the history and asks whether the customer ordered in
# the last 180 days of that same history. `honest` reads them at month starts, and asks about the
# 180 days that follow.

# %%
cut = cut_of(pipeline, "order_habit", most_rows=6_000)
for name, rows in cut.as_done.items():
    print(f"{name}: {len(rows):,} rows, {rows.label.mean():.1%} ones")
assert cut.honest is not None, cut.reason
print(f"honest: {len(cut.honest.train):,} train, {len(cut.honest.test):,} test")

# %% [markdown]
# ## The answer is among the features
#
# A customer who ordered in the last 180 days has `frequency_orders_180d` above zero. Read at the
# end of that window, the feature *is* the label. Read at its start, it is a good guess.

# %%
answers = cut.as_done["as done"]
copies = (answers.features["frequency_orders_180d"] > 0) == (answers.label > 0)
print(f"as done, the feature gives the label away in {copies.mean():.1%} of the rows")
test = cut.honest.test
guesses = (test.features["frequency_orders_180d"] > 0) == (test.label > 0)
print(f"honest, it guesses right in {guesses.mean():.1%}")

# %% [markdown]
# ## Climb a few rungs of your own
#
# A rung names features by the beginning of their names, a model, and how classes are balanced.

# %%
rungs = [
    Rung("totals", "three of them", TOTALS),
    Rung("totals, SMOTE", "balanced before the split", TOTALS, balance="smote", before_split=True),
    Rung("counts", "every window", COUNTS),
]
climber = Climber(cut, seed=1, threads=pipeline.settings.threads, say=lambda text: None)
climbed = climber.climb(rungs)
print(markdown(section_of(cut, LEAKS, climbed, None)))

# %% [markdown]
# ## What balancing does to probabilities
#
# After SMOTE the model has seen as many ones as zeros, and says so. The prior is put back by one
# shift of the logit, which leaves the order of the customers, and so the AUC, as it was.

# %%
balanced = climbed[1]
assert balanced.honest is not None and balanced.corrected is not None
print(f"came true: {balanced.honest.positive_rate:.3f}")
print(f"promised after SMOTE: {balanced.honest.mean_probability:.3f}")
print(f"promised with the prior of the training rows: {balanced.corrected.mean_probability:.3f}")
