/** What a run may spend: GPU hours and wall time. Looked at before each start, so that a run stops at a cell's end. */

export interface BudgetLimits {
  readonly gpuHours: number | null;
  readonly wallMs: number | null;
}

export class Budget {
  readonly #limits: BudgetLimits;
  readonly #started = performance.now();
  #gpuMs = 0;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** `gpus` may be a fraction of one. */
  countGpuTime(gpus: number, ms: number): void {
    this.#gpuMs += gpus * ms;
  }

  /** What is spent, in words; null while there is some left. */
  spent(): string | null {
    const { gpuHours, wallMs } = this.#limits;
    if (gpuHours !== null && this.#gpuMs >= gpuHours * 3_600_000) return `the budget of ${gpuHours} GPU hours is spent`;
    if (wallMs !== null && performance.now() - this.#started >= wallMs) return `the time of ${wallMs / 1000} s for this run is over`;
    return null;
  }
}
