import type { Json } from '../json.ts';
import { canonicalJson } from '../store/canonical-json.ts';
import { sha256 } from '../store/file-bytes.ts';
import type { Key, Manifest } from '../store/model.ts';

/** Longer values go into a key by their digest; canonical JSON never begins with `#`. */
const longest = 200;
const encoded = new WeakMap<object, string>();

/** Says that many cells share a value, such as a closure: it is then encoded once. For one that few have this costs more than it spares. */
export function encodeOnce<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null && !encoded.has(value)) encoded.set(value, shortened(canonicalJson(value)));
  return value;
}

/** A part's value as it goes into a key. */
export function encodeValue(value: Json): string {
  return (typeof value === 'object' && value !== null ? encoded.get(value) : undefined) ?? shortened(canonicalJson(value));
}

function shortened(text: string): string {
  return text.length > longest ? `#${sha256(text)}` : text;
}

/**
 * SHA-256 over the canonical encoding of a manifest: its kind, then a line for each part that is not ignored, sorted by
 * part. Part names are JSON strings, values canonical JSON or `#` and the digest of that, so that no two different
 * manifests are encoded alike.
 */
export function keyOf(kind: 'plan' | 'action', manifest: Manifest): Key {
  let text = `xfolds ${kind} key 1\n`;
  for (const { part, value, ignored } of manifest) if (ignored !== true) text += `${encodeName(part)}:${encodeValue(value)}\n`;
  return sha256(text) as string as Key;
}

/** There are few names and many cells. */
const names = new Map<string, string>();

function encodeName(part: string): string {
  let text = names.get(part);
  if (text === undefined) names.set(part, (text = JSON.stringify(part)));
  return text;
}

/** Parts in the order of their names, as a manifest has them. */
export function sortParts<T extends { readonly part: string }>(parts: T[]): T[] {
  return parts.sort((a, b) => (a.part < b.part ? -1 : a.part > b.part ? 1 : 0));
}
