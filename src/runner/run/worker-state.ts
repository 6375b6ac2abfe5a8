/** Whether jobs left this process as they found it: what stays would reach the next one. */
import { fstatSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface ProcessState {
  /** What can be put back is put back. */
  isAsBefore(): Promise<boolean>;
}

export function rememberProcessState(): ProcessState {
  const globals = describe(sharedObjects());
  const listeners = listenerCounts();
  const resources = countOf(process.getActiveResourcesInfo());
  const mask = process.umask(0o22);
  process.umask(mask);
  return {
    async isAsBefore() {
      process.exitCode = undefined;
      process.umask(mask);
      // What is being closed is closed by the next turn, and a rejection that nobody handles has ended the process.
      for (let turn = 0; turn < 2; turn++) await nextTurn();
      return (
        same(globals, describe(sharedObjects())) && same(listeners, listenerCounts()) && standardStreamsAreOpen() &&
        [...countOf(process.getActiveResourcesInfo())].every(([name, count]) => count <= (resources.get(name) ?? 0))
      );
    },
  };
}

/** The global object, and what every program is built on: patches to these outlive the modules that make them. */
function sharedObjects(): object[] {
  const found = new Set<object>([globalThis, process, console, Math, JSON, Reflect, Atomics]);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
    const value: unknown = descriptor?.value;
    if (typeof value !== 'function') continue;
    found.add(value);
    const prototype: unknown = value.prototype;
    if (typeof prototype === 'object' && prototype !== null) found.add(prototype);
  }
  return [...found];
}

/** Object and property → what it is. Values are compared by identity; accessors are not called. */
function describe(objects: readonly object[]): Map<object, Map<PropertyKey, unknown>> {
  return new Map(objects.map(object => [object, new Map(Reflect.ownKeys(object).map(key => {
    const descriptor = Reflect.getOwnPropertyDescriptor(object, key);
    return [key, descriptor?.get ?? descriptor?.value] as const;
  }))]));
}

function same(before: Map<object, Map<PropertyKey, unknown>> | Map<PropertyKey, number>, after: typeof before): boolean {
  if (before.size !== after.size) return false;
  for (const [key, value] of before as Map<unknown, unknown>) {
    const now = (after as Map<unknown, unknown>).get(key);
    if (value instanceof Map && now instanceof Map ? !same(value as typeof before, now as typeof before) : !Object.is(value, now)) return false;
  }
  return true;
}

function listenerCounts(): Map<PropertyKey, number> {
  return new Map(process.eventNames().map(name => [name, process.listenerCount(name)]));
}

function countOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function standardStreamsAreOpen(): boolean {
  try {
    for (const descriptor of [0, 1, 2]) fstatSync(descriptor);
    return !process.stdout.destroyed && !process.stderr.destroyed && process.stdout.writable && process.stderr.writable;
  } catch {
    return false;
  }
}
