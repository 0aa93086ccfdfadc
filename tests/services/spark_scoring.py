"""A process of its own: scores rows with registered versions on a local Spark, and writes what Spark returns.

Called with a JSON file: for each name a job with the model's address, the file of its rows, the key columns whose rows
are read together, `result_type` and `params`; or with the `code` of a page. The answers of each job are a parquet file
with the columns `place` and `answer`; the text of a failure is a text file.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.functions import struct


def scored(spark: SparkSession, job: dict[str, Any]) -> pd.DataFrame:
    """The answers by the place of their row."""
    rows = spark.read.parquet(job["rows"])
    columns = struct(*(name for name in rows.columns if name != "place"))
    rows = rows.repartition(3, *(job["together"] or ["place"]))
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 0 if job["together"] else 7)
    forecast = mlflow.pyfunc.spark_udf(
        spark, job["model"], result_type=job["result_type"], params=job["params"], env_manager="local"
    )
    found = rows.select("place", forecast(columns).alias("answer")).toPandas().sort_values("place")
    return pd.DataFrame({"place": found["place"], "answer": [_plain(each) for each in found["answer"]]})


def _plain(answer: Any) -> str:
    """An answer of any type as JSON, in which a number keeps all of its digits."""
    return json.dumps(
        answer.asDict() if hasattr(answer, "asDict") else list(answer) if hasattr(answer, "__len__") else answer
    )


def main(order: Path) -> None:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    for name, job in json.loads(order.read_text()).items():
        try:
            if "code" in job:
                exec(job["code"], {})
                continue
            pq.write_table(pa.Table.from_pandas(scored(spark, job)), order.parent / f"{name}.parquet")
        except Exception as failure:  # noqa: BLE001 - the test reads it
            (order.parent / f"{name}.txt").write_text(str(failure))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
