# %% [markdown]
# # Return risk: a rule instead of an outcome
#
# A shop that records no returns still has discounts and prices. Call a line "returned" when its
# discount is large and its value small, and any model finds the rule again. What it has learned
# is the rule.

# %%
from python_ml.experiments.ladder.experiment import cut_of
from python_ml.experiments.ladder.report import section_of
from python_ml.experiments.ladder.return_risk import ORDER, PROXY, RICH
from python_ml.experiments.ladder.rungs import Rung
from python_ml.experiments.ladder.runner import Climber, told
from python_ml.experiments.ladder.study import markdown
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings

pipeline = Pipeline(load_settings())
cut = cut_of(pipeline, "return_risk", most_rows=6_000)

# %% [markdown]
# ## The explanation tells on the label
#
# Shuffle one feature at a time and see what it costs. Where two features cost everything and all
# others nothing, somebody wrote the label from those two.

# %%
rungs = [
    Rung("explained", "the order and the customer", ORDER, selected=True),
    Rung("histories", "and past returns, products", RICH),
]
climber = Climber(cut, seed=1, threads=pipeline.settings.threads, say=lambda text: None)
climbed = climber.climb(rungs)
for protocol, costs in climbed[0].costs.items():
    print(f"{protocol}: {told(costs)}")

# %%
print(markdown(section_of(cut, (PROXY,), climbed, None)))
