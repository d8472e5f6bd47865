"""What the Python arms of workload etl share: flags, the table, cleaning, checksums.

bench/workloads/etl/sales.h computes the same; bench/workloads/README.md has the contract.
"""

import hashlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

import arm
from table import BadData, Table, parquet_files

CATEGORIES = ("books", "food", "toys", "garden", "music", "clothes", "tools", "sports", "pets",
              "office", "health", "travel")
REGIONS = ("north", "east", "south", "west", "islands")
WEEKS, DAYS_OF_WEEK, PRICE_END, CENTS_END = 53, 7, 1000.0, 1 << 20
GROUPS = len(REGIONS) * len(CATEGORIES) * WEEKS
COLUMNS = {"id": pa.int64(), "day": pa.int32(), "store": pa.int32(), "category": pa.string(),
           "quantity": pa.int32(), "price": pa.float64()}
MAY_BE_EMPTY = ("quantity", "price")


class Options:
    """The flags of the workload, for the arms' classes to inherit."""

    PHASES = ("clean", "group", "sort")

    @staticmethod
    def add_options(parser):
        parser.add_argument("--block-rows", type=int, default=65536)

    @staticmethod
    def check_options(options):
        if options.block_rows < 1:
            raise ValueError("--block-rows must be at least 1")


class Sales:
    """The table's parts and the regions of its stores."""

    def __init__(self, folder, block_rows, steps):
        self.stores = os.path.join(folder, "stores.parquet")
        parts = [path for path in parquet_files(folder) if path != self.stores]
        if not parts:
            raise BadData(f"{folder}: there are no sales")
        self.table = Table(parts)
        blocks = -(-self.table.rows // block_rows)
        if steps > blocks:
            raise BadData(f"{folder}: the table has {blocks} blocks, a step each, not {steps}")
        self.rows = min(self.table.rows, steps * block_rows)

    def regions(self):
        """The region of each store, by the store's number."""
        stores = Table([self.stores])
        table = stores.columns({"store": pa.int32(), "region": pa.string()}, 0, stores.rows)
        if not np.array_equal(table["store"].to_numpy(), np.arange(stores.rows)):
            raise BadData(f"{self.stores}: the stores are not numbered from 0 on")
        regions = numbers_of(table["region"], REGIONS)
        if (regions < 0).any():
            raise BadData(f"{self.stores}: an unknown region")
        return regions

    def read(self, begin, end):
        return self.table.columns(COLUMNS, begin, end, MAY_BE_EMPTY)

    def sha256(self):
        """Of all that the files hold: the digests of the columns, one after the other."""
        digests = hashlib.sha256()
        table = self.read(0, self.table.rows)
        stores = Table([self.stores])
        for part, names in ((table, COLUMNS), (stores.columns(
                {"store": pa.int32(), "region": pa.string()}, 0, stores.rows),
                ("store", "region"))):
            for name in names:
                digests.update(_column_digest(part[name]))
        return digests.hexdigest()


def _column_digest(column):
    """Numbers as they lie in memory, an empty cell as 0; texts, each with a line's end."""
    digest = hashlib.sha256()
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            lines = [f"{text}\n".encode() for text in chunk.dictionary.to_pylist()]
            digest.update(b"".join([lines[n] for n in chunk.indices.to_pylist()]))
        else:
            digest.update(np.ascontiguousarray(compute.fill_null(chunk, 0).to_numpy()).data)
    return digest.digest()


def numbers_of(column, texts):
    """Of a column of texts their numbers in `texts`; -1 for any other text."""
    numbers = []
    for chunk in column.chunks:
        known = np.array([texts.index(text) if text in texts else -1
                          for text in chunk.dictionary.to_pylist()] or [-1])
        numbers.append(known[chunk.indices.to_numpy()])
    return np.concatenate(numbers) if numbers else np.empty(0, np.int64)


def clean(sales, columns, regions):
    """The clean rows of a table: place in the order (cents << 32 | id), group, store."""
    category = numbers_of(columns["category"], CATEGORIES)
    # An empty price fails the comparison below, as whatever is not a number does.
    price = compute.fill_null(columns["price"], float("nan")).to_numpy()
    quantity = compute.fill_null(columns["quantity"], 0).to_numpy()
    present = compute.is_valid(columns["quantity"]).to_numpy()
    keep = ((category >= 0) & present & (price > 0) & (price < PRICE_END)).nonzero()[0]
    cents = np.rint(price[keep] * 100).astype(np.int64) * quantity[keep]
    store, day = (columns[name].to_numpy()[keep] for name in ("store", "day"))
    ids = columns["id"].to_numpy()[keep]
    for values, end, what in ((store, len(regions), "an unknown store"),
                              (day, WEEKS * DAYS_OF_WEEK, "a day that is not of the year"),
                              (ids, 1 << 32, "an id of more than 32 bits"),
                              (cents, CENTS_END, "a quantity that is not from 1 to 10")):
        if len(values) and not 0 <= values.min() <= values.max() < end:
            raise BadData(f"{sales.table.path}: {what}")
    group = (regions[store] * len(CATEGORIES) + category[keep]) * WEEKS + day // DAYS_OF_WEEK
    return (cents << 32) + ids, group, store


def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def fingerprint(order, rest):
    """What of a sorted part proves the whole: rows, sum of the rows' hashes, the same by place,
    descents, the first and the last place in the order. `rest`: store * GROUPS + group."""
    hashes = _mix(_mix(order.astype(np.uint64)) + rest.astype(np.uint64))
    places = 2 * np.arange(len(order), dtype=np.uint64) + 1
    return (len(order), int(hashes.sum()), int((hashes * places).sum()),
            int((order[1:] <= order[:-1]).sum()),
            int(order[0]) if len(order) else 0, int(order[-1]) if len(order) else 0)


def merge(parts):
    """Of the fingerprints of parts, in their order, that of the whole."""
    whole = (0, 0, 0, 0, 0, 0)
    for part in parts:
        if not whole[0] or not part[0]:
            whole = part if part[0] else whole
            continue
        rows, total, ordered, descents, first, last = whole
        whole = (rows + part[0], (total + part[1]) % 2**64,
                 (ordered + part[2] + 2 * rows * part[1]) % 2**64,
                 descents + part[3] + (part[4] <= last), first, part[5])
    return whole


def outcome(dataset, totals, whole):
    """`totals`: rows and cents of each group, int64."""
    rows, total, ordered, descents, _, _ = whole
    totals = np.ascontiguousarray(totals, dtype=np.int64).reshape(2, GROUPS)
    return arm.Outcome(
        hashes={"dataset": dataset, "totals": hashlib.sha256(totals.data).hexdigest()},
        values={"clean_rows": int(totals[0].sum()), "revenue_cents": int(totals[1].sum()),
                "sorted_rows": rows, "descents": descents},
        texts={"rows": f"{rows} rows, {total:016x}", "order": f"{ordered:016x}"},
        series={})
