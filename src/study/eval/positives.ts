/** Which texts are right for which images: their own, and those of duplicates. */

/** For each row the rows that count as right for it, itself included, ascending. */
export type Positives = readonly Int32Array[];

/**
 * Rows that share a key in any of the given lists are right for one another: pass the captions, so that equal captions count,
 * and the groups too, where any text of the same article or case is right.
 * @param keys lists of one key a row
 */
export function positivesByKeys(count: number, ...keys: readonly (readonly string[])[]): Positives {
  const rowsOf = keys.map((list) => {
    if (list.length !== count) throw new RangeError(`${list.length} keys for ${count} rows.`);
    const rows = new Map<string, number[]>();
    list.forEach((key, row) => {
      const known = rows.get(key);
      if (known === undefined) rows.set(key, [row]);
      else known.push(row);
    });
    return rows;
  });
  return Array.from({ length: count }, (_, row) => {
    const right = new Set([row]);
    keys.forEach((list, i) => rowsOf[i]!.get(list[row]!)?.forEach((other) => right.add(other)));
    return Int32Array.from(right).sort();
  });
}

/** The positives among a choice of rows, as places in that choice. */
export function positivesAmong(positives: Positives, rows: ArrayLike<number>): Positives {
  const place = new Map<number, number>();
  for (let i = 0; i < rows.length; i += 1) place.set(rows[i]!, i);
  return Array.from({ length: rows.length }, (_, i) => {
    const places = Array.from(positives[rows[i]!]!, (row) => place.get(row)).filter((at) => at !== undefined);
    return Int32Array.from(places).sort();
  });
}
