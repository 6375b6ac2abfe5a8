/** A stage's log: on disk before its process starts. */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Opens it for appending, so that what several processes write goes one after the other. An old one is emptied. */
export function openLog(file: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;
  try {
    return openSync(file, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, flags);
  }
}

/** Adds a line of the driver's own. */
export function appendToLog(file: string, text: string): void {
  const descriptor = openSync(file, 'a');
  try {
    writeSync(descriptor, `${text}\n`);
  } finally {
    closeSync(descriptor);
  }
}

const reach = 64 * 1024;

/** The last lines, each cut to a width that a terminal can show; empty when there is no log. */
export function logTail(file: string, count: number): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(descriptor);
    const start = Math.max(0, size - reach);
    const buffer = Buffer.alloc(size - start);
    const length = readSync(descriptor, buffer, 0, buffer.length, start);
    const lines = buffer.subarray(0, length).toString('utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    // What a progress bar drew over itself is one line, the last state of it.
    return lines.slice(-count).map(line => printable(line.replace(/\r$/, '').split('\r').at(-1)!));
  } finally {
    closeSync(descriptor);
  }
}

const widest = 2000;

/** Without what would move the cursor, ring, or recolour the terminal; binary output stays readable where it is text. */
export function printable(line: string): string {
  const plain = line
    .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '')
    .replace(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?/g, '')
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\u00b7');
  return plain.length > widest ? `${plain.slice(0, widest)}…` : plain;
}
