import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { compileForward } from '../../../src/study/nn/compiled-forward.ts';
import type { ForwardFunction } from '../../../src/study/nn/compiled-forward.ts';
import type { Tensor } from '../../../src/study/nn/kernels.ts';
import { hasNative, openTestBackend, openTestBackends } from './backends.ts';

const shape = { shape: [2], dtype: 'float32' as const };

describe('a compiled step', () => {
  let backends: readonly Backend[] = [];
  beforeAll(async () => {
    backends = await openTestBackends();
  });

  it('keeps state from call to call; push replaces it and pull copies it', () => {
    for (const backend of backends) {
      const names = { parameter: 'w', first: 'm', second: 'v' };
      const state = new Map(['w', 'm', 'v'].map((name) => [name, { shape: [2], values: Float32Array.of(0, 0) }]));
      const scalar = { shape: [], dtype: 'float32' as const };
      const step = backend.compileStep(
        (kernels, { x, rate, b1, b2 }, access) => {
          const before = kernels.total(access.read('w'));
          access.adamW(names, x!, { learningRate: rate!, beta1Power: b1!, beta2Power: b2! }, {
            beta1: 0.5,
            beta2: 0.5,
            epsilon: 0,
            weightDecay: 0,
          });
          return { before };
        },
        { x: shape, rate: scalar, b1: scalar, b2: scalar },
        { state },
      );
      const feeds = (power: number): Record<string, Float32Array> => ({
        x: Float32Array.of(2, -4),
        rate: Float32Array.of(0.25),
        b1: Float32Array.of(power),
        b2: Float32Array.of(power),
      });
      // Adam's first step is the sign of the gradient times the rate, whatever its size.
      expect(step.call(feeds(0.5))['before']![0]).toBe(0);
      const [left, right] = step.pull().get('w')!;
      expect([left, right]).toEqual([expect.closeTo(-0.25, 6), expect.closeTo(0.25, 6)]);
      step.push(new Map([['w', Float32Array.of(3, 4)]]));
      expect(step.call(feeds(0.25))['before']![0]).toBe(7);
      expect(step.pull().get('m')).toEqual(Float32Array.of(1.5, -3));
      expect(() => step.push(new Map([['w', new Float32Array(3)]]))).toThrow(/state "w" has shape \[2\] and cannot take 3 values/);
      expect(() => step.push(new Map([['y', new Float32Array(3)]]))).toThrow(/no state "y"/);
      step.dispose();
    }
  });

  it('names feeds that are missing, unknown, or of another shape or type', () => {
    for (const backend of backends) {
      const step = backend.compileStep((kernels, { x }) => ({ y: kernels.scale(x!, 2) }), { x: shape }, { state: new Map() });
      expect(step.call({ x: Float32Array.of(1, 2) })['y']).toEqual(Float32Array.of(2, 4));
      expect(() => step.call({})).toThrow(/the feed "x" is missing/);
      expect(() => step.call({ x: new Float32Array(3) })).toThrow(/"x" has 3 values; the step was compiled for \[2\]/);
      expect(() => step.call({ x: new Int32Array(2) })).toThrow(/"x" must be float32/);
      expect(() => step.call({ x: new Float32Array(2), z: new Float32Array(1) })).toThrow(/no feed "z"/);
      step.dispose();
    }
  });

  it('runs several functions over the same state', () => {
    for (const backend of backends) {
      const program = backend.compileProgram(
        {
          gather: {
            run: (kernels, { x }, access) => {
              access.accumulate('sum', x!);
              return { total: kernels.total(x!) };
            },
            feeds: { x: shape },
          },
          finish: {
            run: (kernels, _, access) => {
              const sum = access.read('sum');
              access.assign('sum', kernels.scale(sum, 0));
              return { sum: kernels.scale(sum, 1) };
            },
            feeds: {},
          },
        },
        { state: new Map([['sum', { shape: [2], values: Float32Array.of(1, 1) }]]) },
      );
      expect(program.call('gather', { x: Float32Array.of(1, 2) })['total']![0]).toBe(3);
      program.call('gather', { x: Float32Array.of(3, 4) });
      expect(program.call('finish', {})['sum'], backend.name).toEqual(Float32Array.of(5, 7));
      expect(program.pull().get('sum')).toEqual(Float32Array.of(0, 0));
      expect(() => program.call('finnish', {})).toThrow(/no function "finnish"; it has gather, finish/);
      program.dispose();
    }
  });

  it('records a forward pass once for each shape, over the same weights', () => {
    for (const backend of backends) {
      let recordings = 0;
      const run: ForwardFunction = (kernels, { x }, weight) => {
        recordings++;
        return { y: kernels.matMul(x!, weight('w')) };
      };
      const forward = compileForward(backend, run, new Map([['w', { shape: [2, 1], values: Float32Array.of(10, 1) }]]));
      const rows = (...values: number[]) => ({ x: { shape: [values.length / 2, 2], values: Float32Array.from(values) } });
      expect(forward.call(rows(1, 2))['y'], backend.name).toEqual(Float32Array.of(12));
      expect(forward.call(rows(1, 2, 3, 4))['y']).toEqual(Float32Array.of(12, 34));
      const before = recordings;
      if (backend.name === 'tensorflow') {
        forward.call(rows(5, 6));
        expect(recordings).toBe(before);
      }
      // More shapes than are held: the first is recorded again.
      for (const count of [6, 8, 10]) forward.call(rows(...Array.from({ length: count }, () => 1)));
      expect(forward.call(rows(5, 6))['y']).toEqual(Float32Array.of(56));
      expect(() => forward.call({ x: { shape: [2, 2], values: new Float32Array(3) } })).toThrow(/"x" has 3 values; the step was compiled for \[2, 2\]/);
      forward.dispose();
    }
  });

  it('adds L2 to the gradient where Adam is to have it', () => {
    const after: number[] = [];
    for (const backend of backends) {
      const state = new Map(['w', 'm', 'v'].map((name) => [name, { shape: [2], values: Float32Array.of(name === 'w' ? 2 : 0, 0) }]));
      const scalar = { shape: [], dtype: 'float32' as const };
      const step = backend.compileStep(
        (_, { x, rate, power }, access) => {
          const constants = { beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, l2: 0.5 };
          access.adamW({ parameter: 'w', first: 'm', second: 'v' }, x!, { learningRate: rate!, beta1Power: power!, beta2Power: power! }, constants);
          return { x: x! };
        },
        { x: shape, rate: scalar, power: scalar },
        { state },
      );
      // The gradient is 2 + 0.5 · 2 = 3, the step 3 / (3 + 1).
      step.call({ x: Float32Array.of(2, 0), rate: Float32Array.of(1), power: Float32Array.of(0) });
      after.push(step.pull().get('w')![0]!);
      step.dispose();
    }
    for (const value of after) expect(value).toBeCloseTo(2 - 0.75, 6);
  });

  it('records twice to catch what a graph would freeze, and names the line', () => {
    for (const backend of backends) {
      const compile = (run: Parameters<Backend['compileStep']>[0], verify?: boolean) =>
        backend.compileStep(run, { x: shape }, { state: new Map(), ...(verify === undefined ? {} : { verify }) });
      const drawing: Parameters<Backend['compileStep']>[0] = (kernels, { x }) => ({
        y: kernels.multiply(x!, kernels.constant(Float32Array.of(Math.random(), 1), [2])),
      });
      expect(() => compile(drawing)).toThrow(/another Const \(node \d+, at \S*recorded-step\.test\.ts:\d+\): a random number/);
      let calls = 0;
      expect(() => compile((kernels, { x }) => ({ y: calls++ === 0 ? kernels.exp(x!) : kernels.log(x!) }))).toThrow(/other operations/);
      compile(drawing, false).dispose();
    }
  });

  it('names the line that calls a step with another shape', () => {
    for (const backend of backends) {
      const step = backend.compileStep((kernels, { x }) => ({ y: kernels.scale(x!, 2) }), { x: shape }, { state: new Map() });
      expect(() => step.call({ x: new Float32Array(3) })).toThrow(/compiled for \[2\] \(called at \S*recorded-step\.test\.ts:\d+\)/);
      step.dispose();
    }
  });

  describe.skipIf(!hasNative)('recorded as a graph (needs native TensorFlow)', () => {
    it('says what happened when a tensor is read while recording', async () => {
      const backend = await openTestBackend('tensorflow');
      const reading = (look: (tensor: Tensor) => unknown) => () =>
        backend.compileStep(
          (kernels, { x }) => {
            const y = kernels.exp(x!);
            look(y);
            return { y };
          },
          { x: shape },
          { state: new Map() },
        );
      const message = /was called on the result of Exp, shape \[2\], inside a step that is being recorded as a graph \(at \S*recorded-step\.test\.ts:\d+\)/;
      expect(reading((y) => (y as unknown as { dataSync(): unknown }).dataSync())).toThrow(message);
      expect(reading((y) => Number(y) > 1)).toThrow(message);
    });

    it('keeps the values of two steps of one graph apart, and goes on with the session of one that is done', async () => {
      const backend = await openTestBackend('tensorflow');
      const open = (value: number): ReturnType<Backend['compileStep']> =>
        backend.compileStep((kernels, { x }, access) => ({ y: kernels.add(x!, access.read('w')) }), { x: shape }, {
          state: new Map([['w', { shape: [2], values: Float32Array.of(value, value) }]]),
        });
      const x = Float32Array.of(1, 2);
      const [one, ten] = [open(1), open(10)];
      expect([one.call({ x })['y'], ten.call({ x })['y']]).toEqual([Float32Array.of(2, 3), Float32Array.of(11, 12)]);
      one.dispose();
      expect(() => one.call({ x })).toThrow(/disposed/);
      const again = open(5);
      expect([again.call({ x })['y'], ten.call({ x })['y']]).toEqual([Float32Array.of(6, 7), Float32Array.of(11, 12)]);
      again.dispose();
      ten.dispose();
    });

    it('refuses tensors made outside the step, and shapes that do not fit', async () => {
      const backend = await openTestBackend('tensorflow');
      const outside: Tensor = { shape: [2], dtype: 'float32' };
      const compile = (run: Parameters<Backend['compileStep']>[0]) => () => backend.compileStep(run, { x: shape }, { state: new Map() });
      expect(compile((kernels, { x }) => ({ y: kernels.add(x!, outside) }))).toThrow(/made outside the step/);
      expect(compile((kernels, { x }) => ({ y: kernels.add(x!, kernels.constant(new Float32Array(3), [3])) }))).toThrow(
        /AddV2 cannot take shapes \[2\] and \[3\]/,
      );
    });
  });
});
