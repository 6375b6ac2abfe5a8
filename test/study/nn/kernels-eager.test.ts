import { expect, it } from 'vitest';
import { openTestBackends } from './backends.ts';

it('multiplies by the same values in one shape and then in another', async () => {
  for (const backend of await openTestBackends()) {
    const step = backend.compileStep(
      (kernels, { b }) => ({
        first: kernels.biasGradient(b!),
        // XNNPACK keeps what it packed by the data alone: the second product must not be given the first's packing.
        second: kernels.biasGradient(kernels.reshape(b!, [2, 6])),
      }),
      { b: { shape: [4, 3], dtype: 'float32' } },
      { state: new Map() },
    );
    const { first, second } = step.call({ b: Float32Array.from({ length: 12 }, (_, i) => i) });
    expect([...first!], backend.name).toEqual([18, 22, 26]);
    expect([...second!], backend.name).toEqual([6, 8, 10, 12, 14, 16]);
    step.dispose();
  }
});
