/** Values of points by those of their axes that matter: what does not depend on the others is made once and shared. */
import { formatAxisValue } from './cell-id.ts';
import type { Scope } from './compile.ts';
import type { Point } from './model.ts';

/** Equal for points that agree on `axes`, and for no others. */
export function pointKey(point: Point, axes: readonly string[]): string {
  let key = '';
  for (const axis of axes) key += `${formatAxisValue(point[axis]!)}\u0000`;
  return key;
}

/** `fill` depends on the axes that are `used`; `all` are those of the matrix, where they are known. */
export function perAxes<T>(used: ReadonlySet<string>, all: Scope['axes'], fill: (point: Point) => T): (point: Point) => T {
  if (all === null || all === 'unknown') return fill;
  const axes = all.filter(axis => used.has(axis));
  if (axes.length === all.length) return fill; // every point has its own
  const known = new Map<string, T>();
  return point => {
    const key = pointKey(point, axes);
    let value = known.get(key);
    if (value === undefined) known.set(key, (value = fill(point)));
    return value;
  };
}
