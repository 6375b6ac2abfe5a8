import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { classLogits, fitLinearProbe, probePenalties } from '../../../src/study/eval/linear-probe.ts';
import { balancedAccuracyInterval } from '../../../src/study/eval/class-bootstrap.ts';
import { classificationTask, labelsOf, promptsOf, taskPrompts } from '../../../src/study/eval/classification-tasks.ts';
import { areaUnderCurve, classEmbeddings, classScores, scoreClasses } from '../../../src/study/eval/zero-shot.ts';

describe('zero-shot classification', () => {
  it('averages the directions of prompts, whatever their lengths', () => {
    const classes = classEmbeddings(Float32Array.of(2, 0, 0, 5, 0, 1), 2, [0, 0, 1], 2);
    expect([...classes]).toEqual([Math.SQRT1_2, Math.SQRT1_2, 0, 1].map((value) => expect.closeTo(value, 12)));
    expect(() => classEmbeddings(Float32Array.of(1, 0), 2, [0], 2)).toThrow(/class 1 has no prompt/);
  });

  it('scores by class, with chance for a model that tells nothing apart', () => {
    const images = Float32Array.of(1, 0, 1, 0, 0, 1, 0.8, 0.6);
    const scores = classScores(images, Float64Array.of(1, 0, 0, 1), 2);
    expect(scoreClasses(scores, [0, 0, 1, 1], 2)).toEqual({ accuracy: 0.75, balancedAccuracy: 0.75, macroAuc: 1, chance: 0.5 });
    expect(scoreClasses(new Float64Array(8), [0, 0, 0, 1], 2)).toEqual({ accuracy: 0.5, balancedAccuracy: 0.5, macroAuc: 0.5, chance: 0.5 });
  });

  it('takes the area under the curve by ranks', () => {
    expect(areaUnderCurve([3, 2], [1, 2])).toBe(3.5 / 4);
    expect(areaUnderCurve([1], [1])).toBe(0.5);
  });
});

describe('classes', () => {
  const organ = classificationTask.parse({ from: 'caption', templates: ['{}', 'an image of the {}.'], classes: { brain: ['brain', 'head'], chest: ['chest'], spine: ['c.spine'] } });
  const row = (id: string, modality = 'ct') => ({ id, modality });

  it('have a prompt for each word and template, and share equal ones', () => {
    expect(taskPrompts(organ).slice(0, 4)).toEqual([
      { text: 'brain', of: 0 },
      { text: 'an image of the brain.', of: 0 },
      { text: 'head', of: 0 },
      { text: 'an image of the head.', of: 0 },
    ]);
    expect(promptsOf({ organ, again: { ...organ, classes: { brain: ['brain'], knee: ['knee'] } } }).filter((text) => text === 'brain')).toHaveLength(1);
  });

  it('are read off whole words of captions, and left open where none or several are named', () => {
    const captions: Readonly<Record<string, string>> = { a: 'CT of the Head.', b: 'chests', c: 'brain and chest', d: 'the brain, the head', e: 'c.spine', f: 'cxspine' };
    expect([...labelsOf(organ, Object.keys(captions).map((id) => row(id)), (id) => captions[id]!)]).toEqual([0, -1, -1, 0, 2, -1]);
    const modality = classificationTask.parse({ from: 'modality', templates: ['{}'], classes: { 'x-ray': ['x-ray'], ct: ['ct'] } });
    expect([...labelsOf(modality, [row('a'), row('b', 'x-ray'), row('c', 'unknown')], () => '')]).toEqual([1, 0, -1]);
  });

  it('are refused without a choice, or a place for the words', () => {
    expect(() => classificationTask.parse({ ...organ, classes: { brain: ['brain'] } })).toThrow(/nothing to choose among/);
    expect(() => classificationTask.parse({ ...organ, templates: ['an image'] })).toThrow(/a template holds \{\}/);
  });
});

describe('the interval of balanced accuracy', () => {
  const labels = Array.from({ length: 200 }, (_, i) => i % 2);
  const right = labels.map((_, i) => (i % 10 < 8 ? 1 : 0));

  it('holds the value, and narrows with the number of groups, not of images', () => {
    const apart = balancedAccuracyInterval(right, labels, labels.map((_, i) => `g${i}`), { classes: 2 });
    expect(apart[0]).toBeLessThan(0.8);
    expect(apart[1]).toBeGreaterThan(0.8);
    // 0.8 of 200 images: about ± 1.96 · √(0.16 / 200) = ± 0.055.
    expect(apart[1] - apart[0]).toBeGreaterThan(0.08);
    expect(apart[1] - apart[0]).toBeLessThan(0.14);
    const copies = balancedAccuracyInterval([...right, ...right, ...right], [...labels, ...labels, ...labels], Array.from({ length: 600 }, (_, i) => `g${i % 200}`), { classes: 2 });
    expect(copies[1] - copies[0]).toBeCloseTo(apart[1] - apart[0], 1);
  });

  it('weighs classes equally', () => {
    const [low, high] = balancedAccuracyInterval([1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1], ['a', 'a', 'a', 'a', 'a', 'a', 'a'], { classes: 2 });
    expect([low, high]).toEqual([0.5, 0.5]);
  });
});

describe('a linear probe', () => {
  /** Three classes around corners of a triangle, in two of five dimensions. */
  function data(seed: string, rows: number, spread: number): { features: Float32Array; labels: Uint8Array } {
    const random = randomOf(seed);
    const labels = Uint8Array.from({ length: rows }, (_, row) => row % 3);
    const features = new Float32Array(rows * 5);
    labels.forEach((label, row) => {
      for (let i = 0; i < 5; i++) features[row * 5 + i] = (i === 0 ? Math.cos(2.1 * label) : i === 1 ? Math.sin(2.1 * label) : 0) + spread * random.normal();
    });
    return { features, labels };
  }

  it('separates what is linear, and chooses its penalty on validation data', () => {
    const probe = fitLinearProbe(data('train', 120, 0.2), data('validation', 60, 0.2), { width: 5, classes: 3 });
    expect(probe.validationAccuracy).toBeGreaterThan(0.95);
    expect(probePenalties).toContain(probe.penalty);
    const test = data('test', 300, 0.2);
    expect(scoreClasses(classLogits(probe, test.features, 5), test.labels, 3).balancedAccuracy).toBeGreaterThan(0.95);
  });

  it('finds the minimum: the gradient of the penalised loss vanishes there', () => {
    const train = data('noisy', 60, 1);
    const { weights, biases } = fitLinearProbe(train, train, { width: 5, classes: 3, penalties: [2] });
    const logits = classLogits({ weights, biases }, train.features, 5);
    for (let of = 0; of < 3; of++) {
      for (let i = 0; i < 5; i++) {
        let slope = (2 / 60) * weights[of * 5 + i]!;
        for (let row = 0; row < 60; row++) {
          const line = [0, 1, 2].map((other) => Math.exp(logits[row * 3 + other]!));
          const p = line[of]! / (line[0]! + line[1]! + line[2]!);
          slope += ((p - (train.labels[row] === of ? 1 : 0)) / 60) * train.features[row * 5 + i]!;
        }
        expect(Math.abs(slope)).toBeLessThan(1e-4);
      }
    }
  });

  it('keeps to the strongest penalty when nothing can be learned', () => {
    const random = randomOf('noise');
    const noise = { features: Float32Array.from({ length: 200 }, () => random.normal()), labels: Uint8Array.from({ length: 40 }, () => 0) };
    expect(fitLinearProbe(noise, noise, { width: 5, classes: 2 }).penalty).toBe(1e6);
  });
});
