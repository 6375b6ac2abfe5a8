/** Axis scales: from values to places, with ticks at round numbers. */

export interface Scale {
  readonly kind: 'linear' | 'log';
  readonly min: number;
  readonly max: number;
  /** The place of a value, 0 at `min` and 1 at `max`. */
  place(value: number): number;
  readonly ticks: readonly number[];
}

/** Whether an axis of this kind can show a value. */
export function showable(kind: Scale['kind'], value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && (kind === 'linear' || value > 0);
}

/** Share of its values (or decades) that an axis must span to have ticks of its own. */
const resolution = 1e-9;

/**
 * A scale that holds all showable values with a little room, unless `min` or `max` fix an end.
 * @param count about how many ticks
 */
export function makeScale(kind: Scale['kind'], values: readonly number[], count: number, min?: number, max?: number): Scale {
  const usable = values.filter((value) => showable(kind, value));
  const forward = kind === 'log' ? Math.log10 : (value: number): number => value;
  const backward = kind === 'log' ? (value: number): number => 10 ** value : (value: number): number => value;
  let low = usable.length === 0 ? (kind === 'log' ? 1 : 0) : Infinity;
  let high = usable.length === 0 ? (kind === 'log' ? 10 : 1) : -Infinity;
  for (const value of usable) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  let from = forward(low);
  let to = forward(high);
  const spans = (): boolean => to - from > resolution * (kind === 'log' ? 1 : Math.max(Math.abs(from), Math.abs(to)));
  // Values that differ in their last digits only are one value: ticks between them could not be told apart, nor counted.
  const room = spans() ? 0.04 * (to - from) : Math.max(0.05 * Math.abs(from), kind === 'log' ? 0.3 : 0.5);
  from = showable(kind, min) ? forward(min) : from - room;
  to = showable(kind, max) ? forward(max) : to + room;
  if (!spans()) to = from + Math.max(1, Math.abs(from));
  const start = backward(from);
  const end = backward(to);
  return {
    kind,
    min: start,
    max: end,
    place: (value) => (forward(value) - from) / (to - from),
    ticks: kind === 'log' ? logTicks(start, end, count) : linearTicks(start, end, count),
  };
}

/** Multiples of 1, 2 or 5 times a power of ten. */
export function linearTicks(min: number, max: number, count: number): number[] {
  const rough = (max - min) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999) ?? 10 * power;
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(max / step + 1e-9);
  const ticks: number[] = [];
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return ticks; // too close together to be counted
  for (let k = first; k <= last; k += 1)
    ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}

/** Powers of ten; with 2 and 5 between them over few decades; round numbers within less than one. */
export function logTicks(min: number, max: number, count: number): number[] {
  const decades = Math.log10(max / min);
  if (decades < 0.7) return linearTicks(min, max, count).filter((tick) => tick > 0);
  const every = Math.max(1, Math.ceil(decades / count));
  const factors = decades * 3 <= count * 1.2 ? [1, 2, 5] : decades * 2 <= count * 1.2 ? [1, 3] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power += 1) {
    if (power % every !== 0) continue;
    for (const factor of factors) {
      const tick = Number(`${factor}e${power}`);
      if (tick >= min * (1 - 1e-9) && tick <= max * (1 + 1e-9)) ticks.push(tick);
    }
  }
  return ticks;
}

/** A number as a label: plain from 0.001 to 99,999, else with a power of ten (`3×10⁹`). */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return String(value).replace('Infinity', '∞').replace('-', '−');
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5)
    return Number(value.toPrecision(4)).toLocaleString('en-US', { maximumFractionDigits: 6 }).replace('-', '−');
  const [digits = '', power = ''] = value.toExponential(2).split('e');
  const mantissa = String(Number(digits)).replace('-', '−');
  const exponent = String(Number(power)).replaceAll(/./g, (sign) => superscripts[sign] ?? sign);
  return mantissa === '1' ? `10${exponent}` : `${mantissa}×10${exponent}`;
}

const superscripts: Readonly<Record<string, string>> = {
  '-': '⁻',
  '0': '⁰',
  '1': '¹',
  '2': '²',
  '3': '³',
  '4': '⁴',
  '5': '⁵',
  '6': '⁶',
  '7': '⁷',
  '8': '⁸',
  '9': '⁹',
};
