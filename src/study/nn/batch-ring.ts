/** What the training thread and the one that makes its batches share. */
import type { MessagePort } from 'node:worker_threads';
import type { BatchPlan } from './step-batches.ts';

/** Batches that are held: the one that is trained on, and those ready after it. */
export const slots = 3;

/** Places in `control`: batches made, batches done with, and whether making them has failed. */
export const produced = 0;
export const consumed = 1;
export const failed = 2;

/** The arrays of one batch by name. */
export type SlotArrays = Readonly<Record<string, Float32Array | Int32Array>>;

export interface BatchJob {
  readonly plan: BatchPlan;
  readonly images: string;
  readonly tokens: string;
  /** Steps, both included. */
  readonly first: number;
  readonly last: number;
  /** Parts in the order in which a step asks for them. */
  readonly parts: readonly number[];
  readonly port: MessagePort;
  readonly control: Int32Array;
}
