/** What a run and the process that starts stages for it tell each other. */
import type { LaunchRequest, ProcessEnd } from './launch.ts';

export interface HelperRequest {
  readonly id: number;
  readonly request: LaunchRequest;
}

export type HelperAnswer =
  | { readonly id: number; readonly pid: number }
  | { readonly id: number; readonly error: { readonly code?: string | undefined; readonly syscall?: string | undefined; readonly message: string } }
  | { readonly id: number; readonly end: ProcessEnd };
