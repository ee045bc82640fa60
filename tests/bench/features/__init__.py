"""Features of order habit beside what others would write: SQL, pandas, Polars, featuretools."""
