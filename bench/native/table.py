"""Columns of numbers of a table that lies in one or several Parquet files, by rows, as tensors."""

import hashlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch

pa.set_cpu_count(1)  # one compute thread, as everywhere
pa.set_io_thread_count(1)


class BadData(Exception):
    """A file is missing, damaged or not what its name says."""


def parquet_files(folder):
    try:
        names = sorted(n for n in os.listdir(folder) if n.endswith(".parquet"))
    except OSError as error:
        raise BadData(f"{folder}: {error.strerror}") from error
    if not names:
        raise BadData(f"{folder}: there is no Parquet file")
    return [os.path.join(folder, name) for name in names]


class Table:
    """The parts of a table, in order. Reads only the row groups in which the wanted rows lie."""

    def __init__(self, paths):
        self._parts, self.rows = [], 0
        for path in paths:
            try:
                file = parquet.ParquetFile(path, memory_map=True)
            except (OSError, pa.ArrowException) as error:
                raise BadData(f"{path}: {error}") from error
            begins = [self.rows]
            for group in range(file.metadata.num_row_groups):
                begins.append(begins[-1] + file.metadata.row_group(group).num_rows)
            self._parts.append((path, file, begins))
            self.rows = begins[-1]

    def _parts_of(self, begin, end):
        """For each part in which rows [begin, end) lie: its path, the file, the row groups with
        them, and where in those they are."""
        for path, file, begins in self._parts:
            groups = [g for g in range(len(begins) - 1)
                      if begins[g] < end and begins[g + 1] > begin]
            if groups:
                first = begins[groups[0]]
                yield path, file, groups, slice(max(0, begin - first), end - first)

    def _read(self, names, begin, end):
        """For each part in which rows [begin, end) lie: its path, the row groups with them, and
        where in those they are."""
        for path, file, groups, rows in self._parts_of(begin, end):
            try:
                values = file.read_row_groups(groups, columns=names, use_threads=False)
            except (OSError, pa.ArrowException) as error:
                raise BadData(f"{path}: {error}") from error
            for name in names:
                if name not in values.column_names:
                    raise BadData(f"{path}: there is no column {name}")
            yield path, values, rows

    def column(self, name, begin, end, dtype):
        """Rows [begin, end) as one contiguous tensor of `dtype`, which must be the column's."""
        pieces = []
        for path, table, rows in self._read([name], begin, end):
            values = table[name]
            if values.null_count or values.type.to_pandas_dtype() != dtype:
                raise BadData(f"{path}: {name} is of type {values.type}, or has empty cells")
            pieces.append(values.to_numpy()[rows])
        whole = np.concatenate(pieces) if pieces else np.empty(0, dtype)
        if len(whole) != end - begin:
            raise BadData(f"{self._parts[0][0]}: has fewer rows than it says")
        return torch.from_numpy(np.ascontiguousarray(whole))

    def doubles_with_gaps(self, names, begin, end):
        """Rows [begin, end) of columns of doubles, [columns, rows]; NaN where a cell is empty."""
        out = np.empty((len(names), end - begin))
        at = 0
        for path, table, rows in self._read(names, begin, end):
            for number, name in enumerate(names):
                if table[name].type != pa.float64():
                    raise BadData(f"{path}: {name} is of type {table[name].type}")
                values = table[name].to_numpy()[rows]
                out[number, at:at + len(values)] = values
            at += len(values)
        if at != end - begin:
            raise BadData(f"{self._parts[0][0]}: has fewer rows than it says")
        return torch.from_numpy(out)

    def columns(self, types, begin, end, may_be_empty=()):
        """Rows [begin, end) of the columns that `types` names, as a table of Arrow's; texts come as
        dictionaries."""
        texts = [name for name, kind in types.items() if pa.types.is_string(kind)]
        pieces = []
        for path, file, groups, rows in self._parts_of(begin, end):
            for name in set(types) - set(file.schema_arrow.names):
                raise BadData(f"{path}: there is no column {name}")
            try:
                file = parquet.ParquetFile(path, memory_map=True, read_dictionary=texts)
                piece = file.read_row_groups(groups, columns=list(types), use_threads=False)
            except (OSError, pa.ArrowException) as error:
                raise BadData(f"{path}: {error}") from error
            for name, kind in types.items():
                values = piece[name]
                found = values.type.value_type if name in texts and pa.types.is_dictionary(
                    values.type) else values.type
                if found not in (kind, pa.large_string() if name in texts else kind):
                    raise BadData(f"{path}: {name} is of type {found}")
                if values.null_count and name not in may_be_empty:
                    raise BadData(f"{path}: {name} has empty cells")
            pieces.append(piece.slice(rows.start, rows.stop - rows.start))
        if sum(len(piece) for piece in pieces) != end - begin:
            raise BadData(f"{self.path}: has fewer rows than it says")
        if not pieces:
            return pa.schema([(name, pa.dictionary(pa.int32(), kind) if name in texts else kind)
                              for name, kind in types.items()]).empty_table()
        return pa.concat_tables(pieces)

    @property
    def path(self):
        """Of the first part."""
        return self._parts[0][0]

    def sha256(self, names, dtype):
        """Of the columns' values, one column after the other, as they lie in memory."""
        digest = hashlib.sha256()
        for name in names:
            digest.update(self.column(name, 0, self.rows, dtype).numpy().data)
        return digest.hexdigest()
