/** Use and memory of the GPUs a stage was given, sampled while it runs. */
import { sampleGpus } from './gpu.ts';

const intervalMs = 2000;

export class GpuMeter {
  readonly #ids: readonly string[];
  readonly #environment: Readonly<Record<string, string | undefined>>;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #samples = 0;
  #use = 0;
  #peakBytes = 0;

  constructor(ids: readonly string[], environment: Readonly<Record<string, string | undefined>>) {
    this.#ids = ids;
    this.#environment = environment;
    if (ids.length > 0) void this.#sample();
  }

  /** `0,1: 87 % busy, 12.3 GiB` for the attempt's row; only the ids where no sample was had; null without a GPU. */
  close(): string | null {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#ids.length === 0) return null;
    const ids = this.#ids.join(',');
    if (this.#samples === 0) return ids;
    return `${ids}: ${Math.round((100 * this.#use) / this.#samples)} % busy, ${(this.#peakBytes / 2 ** 30).toFixed(1)} GiB`;
  }

  async #sample(): Promise<void> {
    const rows = await sampleGpus(this.#ids, this.#environment);
    if (this.#closed) return;
    if (rows.length > 0) {
      this.#samples++;
      this.#use += rows.reduce((sum, { use }) => sum + use, 0) / rows.length;
      this.#peakBytes = Math.max(this.#peakBytes, ...rows.map(({ memoryBytes }) => memoryBytes));
    }
    this.#timer = setTimeout(() => void this.#sample(), intervalMs);
    this.#timer.unref();
  }
}
