/** Numbers, times and sizes as people read them. */
import type { Json } from '../json.ts';
import { formatNumber as shortestNumber } from '../pipeline/cell-id.ts';

/** `0.4 s`, `41 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return '?';
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return twoUnits(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return twoUnits(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return twoUnits(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

const twoUnits = (major: number, majorUnit: string, minor: number, minorUnit: string): string =>
  minor === 0 ? `${major} ${majorUnit}` : `${major} ${majorUnit} ${minor} ${minorUnit}`;

/** One unit only, for guesses: `40 s`, `3 min`, `2 h`. */
export function formatEstimate(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 1) return '1 s';
  if (seconds < 10) return `${Math.round(seconds)} s`;
  if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A countdown: `0:21`, `12:05`, `3:07:00`. */
export function formatClock(ms: number): string {
  const whole = Math.max(0, Math.round(ms / 1000));
  const seconds = String(whole % 60).padStart(2, '0');
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${seconds}` : `${minutes}:${seconds}`;
}

/** `812 B`, `4.6 KB`, `1.3 GB` (powers of 1,000). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A whole number with thousands marked: `4,645`. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** `1 cell`, `3 cells`. */
export const plural = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;

/**
 * A measured number to four significant digits: `2.913`, `0.0812`, `1.5e+11`, `12,480`. Whole numbers below 1e7 are
 * kept exactly.
 */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value < 0 ? `-${formatCount(-value)}` : formatCount(value);
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return shortExponent(value.toExponential(3));
  if (size >= 1000) return formatNumber(Math.round(value));
  return String(Number(value.toPrecision(4)));
}

/** `1.500e+11` → `1.5e11`. */
const shortExponent = (text: string): string => text.replace(/\.?0*e\+?/, 'e');

/** A param or axis value as a person would write it: strings bare, numbers in their shortest form, the rest as JSON. */
export function formatValue(value: Json): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return shortestNumber(value);
  if (Array.isArray(value)) return commandText(value) ?? `[${value.map(formatValue).join(', ')}]`;
  return JSON.stringify(value);
}

/** A command as fingerprints hold it, texts with `{ in }` and `{ out }` between, as it was written; null for any other list. */
function commandText(parts: readonly Json[]): string | null {
  let text = '';
  let places = 0;
  for (const part of parts) {
    if (typeof part === 'string') text += part;
    else {
      const entries = part !== null && typeof part === 'object' && !Array.isArray(part) ? Object.entries(part) : [];
      const [name, target] = entries[0] ?? [];
      if (entries.length !== 1 || (name !== 'in' && name !== 'out') || typeof target !== 'string') return null;
      text += `\${${name}.${target}}`;
      places++;
    }
  }
  return places > 0 ? text : null;
}

/** The date and time of day on this machine's clock: `2026-03-04 15:06:07`. */
export function formatTime(at: number): string {
  const date = new Date(at);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
